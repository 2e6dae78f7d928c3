"""Keras callbacks: when weights move, and when they are pruned."""

from dsr_tf.callbacks.gradual_pruning import GradualPruning
from dsr_tf.callbacks.reallocation import DynamicSparseReparameterization
from dsr_tf.callbacks.reallocation import Reallocation

__all__ = ["DynamicSparseReparameterization", "GradualPruning", "Reallocation"]
