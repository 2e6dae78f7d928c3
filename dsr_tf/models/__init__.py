"""The paper's networks: plain functions that return a dense Keras model."""

# In the order in which --help lists them, that of the paper's experiments.
from dsr_tf.models.lenet import lenet_300_100

# isort: split
from dsr_tf.models.wide_resnet import wrn_28_2

# isort: split
from dsr_tf.core import discovery
from dsr_tf.models.registry import MODELS
from dsr_tf.models.registry import PAPER_DENSE
from dsr_tf.models.registry import register
from dsr_tf.models.resnet import resnet50

__all__ = [
    "MODELS",
    "PAPER_DENSE",
    "lenet_300_100",
    "register",
    "resnet50",
    "wrn_28_2",
]

# Networks of other files in this folder.
discovery.import_modules(__name__, __path__)
