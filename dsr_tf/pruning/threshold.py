"""Pruning below a threshold: what its rules share.

Of each kernel that a rule has a number for, groups whose mean magnitude is
not above the threshold go, and never return. The largest group stays in any
case. Granularities N:M are refused: a threshold keeps any number of M.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from dsr_tf.core.checks import is_integer
from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.pruning import by_path
from dsr_tf.pruning import magnitude
from dsr_tf.pruning.rule import Candidate
from dsr_tf.pruning.rule import Kept
from dsr_tf.pruning.rule import Rule


class Threshold(Rule):
    """Base of the rules that prune below a threshold.

    It is due after update t where t is a multiple of `frequency` and
    `start < t < end`. Where nobody looks at that moment, as within several
    steps of an execution, it is made up for at the next one.

    Attributes:
        number: Name of the field that says how strongly kernels are pruned.
    """

    number: ClassVar[str]

    frequency: int
    start: int
    end: int | None

    def threshold(
        self, kernel: Candidate, number: float, step: int
    ) -> tuple[float, np.float32 | None]:
        """The threshold of a kernel, and what to remember, None for nothing.

        Args:
            kernel: The kernel.
            number: What `number` names, for that kernel.
            step: t, a multiple of `frequency`.
        """
        raise NotImplementedError

    def check(self, weights: Sequence[MaskedWeight]) -> None:
        given = getattr(self, self.number)
        by_path.check(self.number, given, weights)
        for weight in weights:
            is_pruned = by_path.find(given, weight.path) is not None
            if is_pruned and weight.grouping.pattern is not None:
                raise ValueError(
                    "`granularity` must not be N:M where weights are pruned "
                    "below a threshold, which keeps any number of every M. "
                    f"Received: granularity={weight.granularity!r} of "
                    f"{weight.path}"
                )

    def is_due(self, step: int, last_step: int) -> bool:
        return self._latest(step) > max(last_step, self.start)

    def next_due(self, step: int, last_step: int) -> int | None:
        first = max(step, self.start) // self.frequency + 1
        due = first * self.frequency
        return due if self.end is None or due < self.end else None

    def keep(self, kernel: Candidate, step: int) -> Kept | None:
        number = by_path.find(getattr(self, self.number), kernel.path)
        if number is None:
            return None
        threshold, remembered = self.threshold(
            kernel, number, self._latest(step)
        )
        return Kept(_above(kernel, threshold), threshold, remembered)

    def why_not_due(self) -> str:
        until = "" if self.end is None else f" and before update {self.end}"
        return (
            f"after update {self.start}{until}, every {self.frequency} updates"
        )

    def why_in_vain(self, step: int) -> str:
        return f"all are above the thresholds of {self}"

    def _latest(self, step: int) -> int:
        """The last multiple of the frequency, up to `step`, before the end."""
        if self.end is not None:
            step = min(step, self.end - 1)
        return step // self.frequency * self.frequency

    def _check_integers(self, **least: int) -> None:
        for name, smallest in least.items():
            value = getattr(self, name)
            if not is_integer(value) or value < smallest:
                raise ValueError(
                    f"`{name}` must be an integer of at least {smallest}. "
                    f"Received: {name}={value!r}"
                )

    def _check_order(self, *names: str) -> None:
        """Refuse updates that do not come one after another."""
        for first, then in zip(names, names[1:]):
            if getattr(self, then) < getattr(self, first):
                raise ValueError(
                    f"`{then}` must not be before {first}, "
                    f"{getattr(self, first)}. Received: "
                    f"{then}={getattr(self, then)!r}"
                )


def _above(kernel: Candidate, threshold: float) -> np.ndarray:
    scores = magnitude.pool(kernel.weights, "AVG")
    # In float64, so that the threshold is not rounded.
    mask = kernel.active & (scores > np.float64(threshold))
    if not mask.any():
        mask[np.argmax(np.where(kernel.active, scores, -1))] = True
    return mask
