"""From dense to sparse: how a trained network loses weights."""

from dsr_tf.pruning.hyperparameters import PruningHyperparameters

__all__ = ["PruningHyperparameters"]
