"""From dense to sparse: how a trained network loses weights."""

from dsr_tf.pruning.hyperparameters import PruningHyperparameters
from dsr_tf.pruning.linear_threshold import LinearThreshold
from dsr_tf.pruning.percentiles import percentiles
from dsr_tf.pruning.rule import Candidate
from dsr_tf.pruning.rule import Kept
from dsr_tf.pruning.rule import Rule
from dsr_tf.pruning.std_threshold import StdThreshold

__all__ = [
    "Candidate",
    "Kept",
    "LinearThreshold",
    "PruningHyperparameters",
    "Rule",
    "StdThreshold",
    "percentiles",
]
