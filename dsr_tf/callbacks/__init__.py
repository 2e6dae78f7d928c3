"""Keras callbacks: when weights move, and when they are pruned."""

from dsr_tf.callbacks.dynamic_sparse_reparameterization import (
    DynamicSparseReparameterization,
)
from dsr_tf.callbacks.gradual_pruning import GradualPruning
from dsr_tf.callbacks.grow_and_prune import GrowAndPrune
from dsr_tf.callbacks.reallocation import Reallocation
from dsr_tf.callbacks.sparsity_board import SparsityBoard
from dsr_tf.callbacks.threshold_pruning import ThresholdPruning

__all__ = [
    "DynamicSparseReparameterization",
    "GradualPruning",
    "GrowAndPrune",
    "Reallocation",
    "SparsityBoard",
    "ThresholdPruning",
]
