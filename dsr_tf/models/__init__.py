"""The paper's networks: plain functions that return a dense Keras model."""

from dsr_tf.models.lenet import lenet_300_100
from dsr_tf.models.resnet import resnet50
from dsr_tf.models.wide_resnet import wrn_28_2

MODELS = {
    "lenet_300_100": lenet_300_100,
    "wrn_28_2": wrn_28_2,
    "resnet50": resnet50,
}

# Layers without masks in the paper's sparse networks, by name.
PAPER_DENSE = {
    "lenet_300_100": [],
    "wrn_28_2": ["^stem$", "_shortcut$", "^fc$"],
    "resnet50": ["^stem$", "_shortcut$"],
}

__all__ = ["MODELS", "PAPER_DENSE", "lenet_300_100", "resnet50", "wrn_28_2"]
