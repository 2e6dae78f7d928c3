"""When weights move: Keras callbacks."""

from dsr_tf.callbacks.reallocation import DynamicSparseReparameterization
from dsr_tf.callbacks.reallocation import Reallocation

__all__ = ["DynamicSparseReparameterization", "Reallocation"]
