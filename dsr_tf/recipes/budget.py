"""What flags allow a network: parameters, or multiply-adds."""

import math
from typing import Any

import keras

from dsr_tf.layers.summary import sparsity_summary
from dsr_tf.recipes.network import sparsify


def count(budget: int | float | None, of: int) -> int | None:
    """A budget as a number.

    Args:
        budget: An integer; a share in (0, 1); or None for none.
        of: What it is a share of.
    """
    if isinstance(budget, float):
        return math.floor(budget * of)
    return budget


def num_active(experiment: Any, dense: keras.Model) -> int:
    """How many parameters are active in the sparse network of the flags."""
    sparse = sparsify(experiment, dense)
    return sparsity_summary(sparse).num_active_parameters
