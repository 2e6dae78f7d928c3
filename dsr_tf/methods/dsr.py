"""Dynamic sparse reparameterization, the method of the paper."""

import dataclasses
import math
from typing import Any
from typing import Self

import numpy as np

from dsr_tf.core.checks import is_integer
from dsr_tf.core.checks import is_number
from dsr_tf.methods import prune
from dsr_tf.methods import redistribute
from dsr_tf.methods.method import KernelView
from dsr_tf.methods.method import Method

# Thresholds stay within 2**100 times the initial one, far outside of any
# weight, so that a model whose weights are all 0 cannot run it to infinity.
_MAX_EXPONENT = 100


@dataclasses.dataclass(frozen=True)
class DSR(Method):
    """Dynamic sparse reparameterization (Mostafa & Wang, ICML 2019).

    Prunes all weights below one threshold for the whole model and grows as
    many at random, in each kernel in proportion to what survived in it
    (Algorithm 1). After each step the threshold is doubled where fewer than
    `(1 - tolerance) * num_reallocated` weights were below it and halved
    where more than `(1 + tolerance) * num_reallocated` were.

    Args:
        num_reallocated: K, the number of weights to move in a step.
        tolerance: delta, how far from K is near enough, in [0, 1).
        initial_threshold: H at the start, a positive magnitude.

    Raises:
        ValueError: if an argument is out of range.
    """

    num_reallocated: int = 600
    tolerance: float = 0.1
    initial_threshold: float = 1e-3

    # e, where the threshold is `initial_threshold * 2**e`.
    state_names = ("threshold_exponent",)
    flag_name = "dsr"

    @classmethod
    def from_settings(
        cls, settings: Any, num_active: int, steps_per_epoch: int
    ) -> Self:
        return cls(
            num_reallocated=settings.num_reallocated,
            tolerance=settings.tolerance,
            initial_threshold=settings.initial_threshold,
        )

    def __post_init__(self) -> None:
        k, delta, h = dataclasses.astuple(self)
        if not is_integer(k) or k < 1:
            raise ValueError(
                "`num_reallocated` must be a positive integer, the number "
                "of weights to move in a reallocation. Received: "
                f"num_reallocated={k!r}"
            )
        if not is_number(delta) or not 0 <= delta < 1:
            raise ValueError(
                "`tolerance` must be a number in [0, 1). Received: "
                f"tolerance={delta!r}"
            )
        if not is_number(h) or not 0 < h < math.inf:
            raise ValueError(
                "`initial_threshold` must be a positive number. Received: "
                f"initial_threshold={h!r}"
            )

    def validate(self, num_active: int) -> None:
        if self.num_reallocated >= num_active:
            raise ValueError(
                "`num_reallocated` must be smaller than the number of active "
                f"weights, {num_active}. Received: num_reallocated="
                f"{self.num_reallocated}"
            )

    def threshold(self, state: Any) -> float:
        exponent = state.method_state["threshold_exponent"]
        return math.ldexp(self.initial_threshold, exponent)

    def prune(
        self, kernels: list[KernelView], state: Any, step: int
    ) -> list[np.ndarray]:
        threshold = self.threshold(state)
        return [prune.below(kernel.scores, threshold) for kernel in kernels]

    def redistribute(self, total: int, kernels: list[KernelView]) -> list[int]:
        return redistribute.to_survivors(
            total,
            [
                (k.num_active_groups - k.num_pruned_groups) * k.group_size
                for k in kernels
            ],
            [k.num_free_groups for k in kernels],
            [k.group_size for k in kernels],
        )

    def update(self, state: Any, num_below: int) -> None:
        exponent = state.method_state["threshold_exponent"]
        if num_below < (1 - self.tolerance) * self.num_reallocated:
            exponent += 1
        elif num_below > (1 + self.tolerance) * self.num_reallocated:
            exponent -= 1
        state.method_state["threshold_exponent"] = max(
            -_MAX_EXPONENT, min(_MAX_EXPONENT, exponent)
        )
