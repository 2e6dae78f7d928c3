"""What RigL and its kin share: a fraction to move that falls to nothing."""

import dataclasses
import math
from typing import Any
from typing import Self

import numpy as np
from absl import logging

from dsr_tf.core.checks import check_fraction
from dsr_tf.core.checks import is_integer
from dsr_tf.methods import grow
from dsr_tf.methods.chosen_growth import ChosenGrowth
from dsr_tf.methods.method import KernelView

# An end that is known once a training begins.
AUTO = "auto"


@dataclasses.dataclass(frozen=True)
class Annealed(ChosenGrowth):
    """Prunes the smallest weights of every kernel, a fraction that anneals.

    At update t the fraction is `fraction / 2 * (1 + cos(pi * t / end_step))`
    and nothing moves from `end_step` on; t and the end count from
    `start_step`. Where the kernel is nearly full no more is pruned than there
    is room to grow elsewhere in it. What grows are the groups of the largest
    gradient, unless a class chooses otherwise.

    Args:
        fraction: Share of the active weights to move at the start, (0, 1).
        end_step: Update at which the share has fallen to 0; `"auto"`, after
            a share of the updates of the training that the class names
            (`default_end`); None keeps it.
        start_step: Update at which it begins to fall.

    Raises:
        ValueError: if an argument is out of range.
    """

    fraction: float = 0.3
    end_step: int | str | None = AUTO
    start_step: int = 0

    growth = grow.GRADIENT

    # Share of the training after which nothing moves, by default.
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
        end, start = self.end_step, self.start_step
        if end not in (None, AUTO) and (not is_integer(end) or end < 1):
            raise ValueError(
                "`end_step` must be None, 'auto' or a positive integer, a "
                f"number of updates. Received: end_step={end!r}"
            )
        if not is_integer(start) or start < 0:
            raise ValueError(
                "`start_step` must be an integer of at least 0, a number of "
                f"updates. Received: start_step={start!r}"
            )
        if is_integer(end) and start >= end:
            raise ValueError(
                "`start_step` must be below `end_step`. Received: "
                f"start_step={start}, end_step={end}"
            )

    def for_training(self, first_step: int, last_step: int | None) -> Self:
        if self.end_step != AUTO:
            return self
        if last_step is None:
            logging.warning(
                "%s: nothing says how long the training is, so it moves a "
                "share of %g to the end. Give it `end_step`, the update from "
                "which nothing is to move.",
                type(self).__name__,
                self.fraction,
            )
            return dataclasses.replace(self, end_step=None)
        length = round(self.default_end * (last_step - first_step))
        end_step = first_step + max(1, length)
        start_step = max(first_step, self.start_step)
        if start_step >= end_step:
            raise ValueError(
                "`start_step` must be below the end that `end_step='auto'` "
                f"stands for, which is {end_step} in this training of updates "
                f"{first_step} to {last_step}. Received: "
                f"start_step={self.start_step}"
            )
        return dataclasses.replace(
            self, end_step=end_step, start_step=start_step
        )

    def fraction_at(self, step: int) -> float:
        """The share of active weights to move after `step` updates."""
        if not is_integer(self.end_step):
            return self.fraction
        if step >= self.end_step:
            return 0.0
        length = self.end_step - self.start_step
        progress = max(0, step - self.start_step) / length
        return self.fraction / 2 * (1 + math.cos(math.pi * progress))

    def is_over(self, step: int) -> bool:
        return is_integer(self.end_step) and step >= self.end_step

    def prune(
        self, kernels: list[KernelView], state: Any, step: int
    ) -> list[np.ndarray]:
        fraction = self.fraction_at(step)
        return [kernel.smallest(fraction) for kernel in kernels]
