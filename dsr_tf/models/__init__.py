"""The paper's networks: plain functions that return a dense Keras model."""

from dsr_tf.models.lenet import lenet_300_100

MODELS = {"lenet_300_100": lenet_300_100}

__all__ = ["MODELS", "lenet_300_100"]
