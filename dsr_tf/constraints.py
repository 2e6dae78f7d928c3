"""What holds for weights after every update of the optimizer."""

import math
from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from dsr_tf.core.checks import is_number


@keras.saving.register_keras_serializable("dsr_tf")
class ZeroBelow(keras.constraints.Constraint):
    """Sets weights to 0 that are smaller than a threshold.

    A penalty alone leaves weights swinging around 0. Wen et al. (2016) set
    all of a network's below 1e-4 to 0 after every update (`ZEROUT_THRESHOLD`
    in their code); a weight may grow again, if an update takes it there.

    Args:
        threshold: Number of at least 0; `abs(w) < threshold` becomes 0.

    Raises:
        ValueError: if it is none.
    """

    def __init__(self, threshold: float = 1e-4) -> None:
        if not is_number(threshold) or not 0 <= threshold < math.inf:
            raise ValueError(
                "`threshold` must be a number of at least 0. Received: "
                f"threshold={threshold!r}"
            )
        self.threshold = float(threshold)

    def __call__(self, weights: Any) -> Any:
        weights = ops.convert_to_tensor(weights)
        is_small = ops.abs(weights) < self.threshold
        return ops.where(is_small, ops.zeros_like(weights), weights)

    def get_config(self) -> dict[str, Any]:
        return {"threshold": self.threshold}


@keras.saving.register_keras_serializable("dsr_tf")
class InTurn(keras.constraints.Constraint):
    """Several constraints, one after the other.

    Args:
        constraints: List of what `keras.constraints.get` takes.
    """

    def __init__(self, constraints: Iterable[Any]) -> None:
        found: list[Any] = []
        for constraint in map(keras.constraints.get, constraints):
            if isinstance(constraint, InTurn):
                found += constraint.constraints
            elif constraint is not None:
                found.append(constraint)
        self.constraints: tuple[Any, ...] = tuple(found)

    def __call__(self, weights: Any) -> Any:
        for constraint in self.constraints:
            weights = constraint(weights)
        return weights

    def get_config(self) -> dict[str, Any]:
        return {
            "constraints": [
                keras.constraints.serialize(c) for c in self.constraints
            ]
        }
