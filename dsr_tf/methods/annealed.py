"""What RigL and its kin share: a fraction to move that falls to nothing."""

import dataclasses
import math
from typing import Any
from typing import Self

import numpy as np

from dsr_tf.core.checks import check_fraction
from dsr_tf.core.checks import is_integer
from dsr_tf.methods import grow
from dsr_tf.methods.chosen_growth import ChosenGrowth
from dsr_tf.methods.method import KernelView


@dataclasses.dataclass(frozen=True)
class Annealed(ChosenGrowth):
    """Prunes the smallest weights of every kernel, a fraction that anneals.

    At update t the fraction is `fraction / 2 * (1 + cos(pi * t / end_step))`
    and nothing moves from `end_step` on. Where the kernel is nearly full no
    more is pruned than there is room to grow elsewhere in it. What grows are
    the groups of the largest gradient, unless a class chooses otherwise.

    Args:
        fraction: Share of the active weights to move at the start, (0, 1).
        end_step: Update at which the share has fallen to 0; None keeps it.

    Raises:
        ValueError: if an argument is out of range.
    """

    fraction: float = 0.3
    end_step: int | None = None

    growth = grow.GRADIENT

    # Share of all epochs after which nothing moves, if no flag says when.
    default_end = 1.0

    @classmethod
    def from_settings(
        cls, settings: Any, num_active: int, steps_per_epoch: int
    ) -> Self:
        end_epoch = settings.fraction_end_epoch
        if end_epoch is None:
            end_epoch = cls.default_end * settings.epochs
        return cls(
            settings.fraction or cls.fraction,
            max(1, round(end_epoch * steps_per_epoch)),
        )

    def __post_init__(self) -> None:
        check_fraction(self.fraction)
        if self.end_step is not None and (
            not is_integer(self.end_step) or self.end_step < 1
        ):
            raise ValueError(
                "`end_step` must be None or a positive integer, a number of "
                f"updates. Received: end_step={self.end_step!r}"
            )

    def fraction_at(self, step: int) -> float:
        """The share of active weights to move after `step` updates."""
        if self.end_step is None:
            return self.fraction
        if step >= self.end_step:
            return 0.0
        return (
            self.fraction / 2 * (1 + math.cos(math.pi * step / self.end_step))
        )

    def is_over(self, step: int) -> bool:
        return self.end_step is not None and step >= self.end_step

    def prune(
        self, kernels: list[KernelView], state: Any, step: int
    ) -> list[np.ndarray]:
        fraction = self.fraction_at(step)
        return [kernel.smallest(fraction) for kernel in kernels]
