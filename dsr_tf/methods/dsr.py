"""Dynamic sparse reparameterization, the method of the paper."""

import dataclasses
import math
from typing import Any
from typing import Self

import numpy as np
from absl import logging

from dsr_tf.core.checks import is_number
from dsr_tf.methods import amount
from dsr_tf.methods import grow
from dsr_tf.methods import prune
from dsr_tf.methods import redistribute
from dsr_tf.methods.chosen_growth import ChosenGrowth
from dsr_tf.methods.method import KernelView

# Thresholds stay within 2**100 times the initial one, far outside of any
# weight, so that a model whose weights are all 0 cannot run it to infinity.
_MAX_EXPONENT = 100
# More than so many times K, or than so many quarters of all weights, pruned
# at once do harm that no growth makes good.
_MUCH = 2


@dataclasses.dataclass(frozen=True)
class DSR(ChosenGrowth):
    """Dynamic sparse reparameterization (Mostafa & Wang, ICML 2019).

    Prunes all weights below one threshold for the whole model and grows as
    many at random, in each kernel in proportion to what survived in it
    (Algorithm 1). After each step the threshold is doubled where fewer than
    `(1 - tolerance) * K` weights were below it and halved where more than
    `(1 + tolerance) * K` were.

    Args:
        num_reallocated: K, the weights to move in a step: an integer is
            their number; a number in (0, 1) their share of the budget, the
            active weights of the kernels that move, rounded, at least one.
            The paper's numbers (Table 4) are shares of 0.113 for
            LeNet-300-100 at sparsity 0.98 (600 of 5,324), 0.138 for
            WRN-28-2 (20,000 of 145,152) and 0.088 for ResNet-50 (200,000 of
            2,272,461; the authors' code has twice as many), both at 0.9. It
            keeps the numbers at other sparsities: at 0.8 they are half
            these shares. The default, a tenth, is between the three.
        tolerance: delta, how far from K is near enough, in [0, 1).
        initial_threshold: H at the start, a positive magnitude.
        growth: Which weights grow in a kernel: `"random"`, any, as in the
            paper; `"alive"`, at random among those that a gradient reaches
            in the step before; `"gradient"`, those of the largest gradients
            there, as in RigL; or `"half"`, half so and half at random.
        start_magnitude: Grown weights start from this number or from minus
            this number, at random; 0 as in the paper. A weight that no
            gradient reaches stays where it starts, is below any threshold
            and so is pruned again, and at 0 it is never moved by penalties
            either.
        counts_zeros: Whether weights that are exactly 0 when they are pruned
            count towards K.

    Raises:
        ValueError: if an argument is out of range.
    """

    num_reallocated: amount.Amount = 0.1
    tolerance: float = 0.1
    initial_threshold: float = 1e-3
    growth: str = grow.RANDOM
    start_magnitude: float = 0.0
    counts_zeros: bool = True

    # e, where the threshold is `initial_threshold * 2**e`; and how often
    # most weights were pruned at once, which is said the first time only.
    state_names = ("threshold_exponent", "num_collapses")
    flag_name = "dsr"

    @classmethod
    def from_settings(
        cls, settings: Any, num_active: int, steps_per_epoch: int
    ) -> Self:
        return cls(
            num_reallocated=settings.num_reallocated,
            tolerance=settings.tolerance,
            initial_threshold=settings.initial_threshold,
            growth=settings.growth or cls.growth,
            start_magnitude=settings.start_magnitude,
            counts_zeros=settings.count_zeros,
        )

    def __post_init__(self) -> None:
        k, delta, h = (
            self.num_reallocated,
            self.tolerance,
            self.initial_threshold,
        )
        amount.check(k)
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
        self.check_growth()
        start = self.start_magnitude
        if not is_number(start) or not 0 <= start < math.inf:
            raise ValueError(
                "`start_magnitude` must be a finite number of at least 0. "
                f"Received: start_magnitude={start!r}"
            )
        if not isinstance(self.counts_zeros, bool):
            raise ValueError(
                "`counts_zeros` must be True or False. Received: "
                f"counts_zeros={self.counts_zeros!r}"
            )

    def validate(self, num_active: int) -> None:
        amount.check_fits(self.num_reallocated, num_active)

    def threshold(self, state: Any) -> float:
        exponent = state.method_state["threshold_exponent"]
        return math.ldexp(self.initial_threshold, exponent)

    def prune(
        self, kernels: list[KernelView], state: Any, step: int
    ) -> list[np.ndarray]:
        threshold = self.threshold(state)
        return [prune.below(kernel.scores, threshold) for kernel in kernels]

    def num_counted(self, kernel: KernelView, pruned: np.ndarray) -> int:
        if not self.counts_zeros:
            pruned = pruned & (kernel.scores > 0)
        return super().num_counted(kernel, pruned)

    def start_values(
        self, num_grown_groups: int, generator: np.random.Generator
    ) -> np.ndarray | None:
        if not self.start_magnitude:
            return None
        signs = generator.integers(0, 2, num_grown_groups) * 2 - 1
        return self.start_magnitude * signs

    def redistribute(self, total: int, kernels: list[KernelView]) -> list[int]:
        return redistribute.to_survivors(
            total,
            [k.num_surviving_weights for k in kernels],
            [k.num_growable_groups for k in kernels],
            [k.group_size for k in kernels],
        )

    def update(self, state: Any, num_below: int, budget: int) -> None:
        exponent = state.method_state["threshold_exponent"]
        wanted = amount.num_weights(self.num_reallocated, budget)
        if num_below > _MUCH * max(wanted, budget / 4):
            state.method_state["num_collapses"] += 1
            if state.method_state["num_collapses"] == 1:
                self._warn_of_collapse(state, num_below, budget, wanted)
        if num_below < (1 - self.tolerance) * wanted:
            exponent += 1
        elif num_below > (1 + self.tolerance) * wanted:
            exponent -= 1
        state.method_state["threshold_exponent"] = max(
            -_MAX_EXPONENT, min(_MAX_EXPONENT, exponent)
        )

    def _warn_of_collapse(
        self, state: Any, num_below: int, budget: int, wanted: int
    ) -> None:
        logging.warning(
            "%d of %d active weights were below the threshold %g and pruned "
            "at once, where about %d were to be: what they had learned is "
            "lost. Means over large groups hardly differ, so a threshold is "
            "below all of them or above; `SET` prunes a given share.",
            num_below,
            budget,
            self.threshold(state),
            wanted,
        )
