"""Sparse evolutionary training."""

import dataclasses
from typing import Any
from typing import Self

import numpy as np

from dsr_tf.core.checks import check_fraction
from dsr_tf.methods import amount
from dsr_tf.methods.method import KernelView
from dsr_tf.methods.method import Method


@dataclasses.dataclass(frozen=True)
class SET(Method):
    """Sparse evolutionary training (Mocanu et al., 2018).

    Prunes the same fraction of the active weights of every kernel, the
    smallest, and grows as many in the same kernel at random: the number of
    active weights of a kernel never changes. As in the DSR authors' code
    there is no split by sign. A kernel that is nearly full moves no more
    than it has room for. With granularity N:M each bundle of M weights grows
    what it loses, and moves no more than its M - N free places.

    Args:
        fraction: Share of the active weights to move in a step, in (0, 1).

    Raises:
        ValueError: if `fraction` is out of range.
    """

    fraction: float = 0.3

    flag_name = "set"
    keeps_patterns = True

    @classmethod
    def from_settings(
        cls, settings: Any, num_active: int, steps_per_epoch: int
    ) -> Self:
        if settings.fraction:
            return cls(settings.fraction)
        # The authors' fractions for WRN-28-2: the K of DSR over the budget.
        amount.check_fits(settings.num_reallocated, num_active)
        moved = amount.num_weights(settings.num_reallocated, num_active)
        return cls(moved / num_active)

    def __post_init__(self) -> None:
        check_fraction(self.fraction)

    def prune(
        self, kernels: list[KernelView], state: Any, step: int
    ) -> list[np.ndarray]:
        return [kernel.smallest(self.fraction) for kernel in kernels]
