"""Sparse training in Keras 3: dynamic sparse reparameterization and peers.

model = dsr_tf.sparsify(model, sparsity=0.9)
model.compile("sgd", "sparse_categorical_crossentropy")
reallocation = dsr_tf.callbacks.DynamicSparseReparameterization()
model.fit(x, y, callbacks=[reallocation])
dsr_tf.export.saved_model(model, "model")
"""


def _command_is_starting() -> bool:
    """Whether one of the package's commands is what Python runs.

    That is a script such as `dsr-train`, or `-m dsr_tf.NAME`, whose module
    Python is then still looking for.
    """
    import os
    import re
    import sys

    if sys.argv[:1] != ["-m"]:
        script = os.path.basename(sys.argv[0]) if sys.argv else ""
        return bool(re.fullmatch(r"dsr-[a-z]+(\.exe)?", script))
    # What stands before the arguments: the module, perhaps as `-mNAME`.
    last_option = sys.orig_argv[-len(sys.argv)]
    return bool(re.fullmatch(r"(-\w*m)?dsr_tf(\.\w+)*", last_option))


if _command_is_starting():
    # Before TensorFlow is loaded, and Keras with it.
    from dsr_tf.command_line import backend as _backend
    from dsr_tf.command_line import start_up as _start_up

    _backend.check()
    _start_up.hold_back()

# Layers, losses and others register with Keras as they are imported, so
# that files that hold them load.
from dsr_tf import constraints
from dsr_tf import layers
from dsr_tf import losses
from dsr_tf import optimizers
from dsr_tf import proximal
from dsr_tf import regularizers
from dsr_tf.conversion import cluster
from dsr_tf.conversion import regularize
from dsr_tf.conversion import sparsify
from dsr_tf.conversion import strip
from dsr_tf.conversion import tie
from dsr_tf.conversion import uncluster
from dsr_tf.conversion import with_storage
from dsr_tf.core.version import VERSION as __version__  # noqa: F401
from dsr_tf.layers import masked_weights
from dsr_tf.structure.whole.model_cost import cost
from dsr_tf.structure.whole.summary import sparsity_summary

if _command_is_starting():
    _start_up.let_through()

__all__ = [
    "callbacks",
    "cluster",
    "constraints",
    "cost",
    "export",
    "growth",
    "layers",
    "losses",
    "masked_weights",
    "methods",
    "models",
    "optimizers",
    "proximal",
    "pruning",
    "regularize",
    "regularizers",
    "sparsify",
    "sparsity_summary",
    "strip",
    "structure",
    "tie",
    "uncluster",
    "with_storage",
]


def __getattr__(name: str) -> object:
    """Import a public subpackage when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module 'dsr_tf' has no attribute {name!r}")
    import importlib

    return importlib.import_module(f"dsr_tf.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
