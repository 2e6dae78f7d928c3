"""Sparse training in Keras 3: dynamic sparse reparameterization and peers.

model = dsr_tf.sparsify(model, sparsity=0.9)
model.compile("sgd", "sparse_categorical_crossentropy")
reallocation = dsr_tf.callbacks.DynamicSparseReparameterization()
model.fit(x, y, callbacks=[reallocation])
dsr_tf.export.saved_model(model, "model")
"""

import os
import re
import sys


def _command_is_starting():
    """Whether Python is looking for the module of `-m dsr_tf.NAME`."""
    if sys.argv[:1] != ["-m"]:
        return False
    # What stands before the arguments: the module, perhaps as `-mNAME`.
    last_option = sys.orig_argv[-len(sys.argv)]
    return bool(re.fullmatch(r"(-\w*m)?dsr_tf(\.\w+)*", last_option))


if _command_is_starting():
    # Show the command's own lines, not the notes that TensorFlow's C++ code
    # makes at start.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from dsr_tf import callbacks
from dsr_tf import export
from dsr_tf import layers
from dsr_tf import losses
from dsr_tf import methods
from dsr_tf import models
from dsr_tf import optimizers
from dsr_tf.conversion import sparsify
from dsr_tf.conversion import strip
from dsr_tf.conversion import tie
from dsr_tf.layers import masked_weights
from dsr_tf.layers.summary import sparsity_summary

__version__ = "0.1.0"

__all__ = [
    "callbacks",
    "export",
    "layers",
    "losses",
    "masked_weights",
    "methods",
    "models",
    "optimizers",
    "sparsify",
    "sparsity_summary",
    "strip",
    "tie",
]
