"""Thresholds that grow along two lines (Narang et al., 2017)."""

import dataclasses
import math

from dsr_tf.core.checks import is_number
from dsr_tf.pruning import by_path
from dsr_tf.pruning.by_path import ByPath
from dsr_tf.pruning.rule import Candidate
from dsr_tf.pruning.threshold import Threshold


@dataclasses.dataclass(frozen=True)
class LinearThreshold(Threshold):
    """Pruning of recurrent networks while they train (Narang et al., 2017).

    After update t, where `start < t < end` and t is a multiple of
    `frequency`, weights go whose magnitude is not above

        eps(t) = theta * (t - start + 1) / frequency              if t < ramp
        eps(t) = (theta * (ramp - start + 1) + phi * (t - ramp + 1))
                 / frequency                                      otherwise,
        theta = 2 * q * frequency
                / (2 * (ramp - start) + 3 * (end - ramp)),
        phi = ramp_factor * theta

    (section 3, algorithm 1). With the paper's factor of 1.5, eps reaches q
    at the end, give or take an update. The paper has biases, normalization and
    convolutions unpruned; q is the 90th percentile of the magnitudes of a
    dense network's layers of one type (`percentiles`), `start` an epoch,
    `ramp` and `end` a quarter and a half of all epochs, `frequency` 100.

    Args:
        q: Magnitude that the threshold grows to, at least 0; or a dict
            `{regular expression: q}` of kernels whose path it is found in,
            where others are not pruned.
        start: s, update after which the threshold grows.
        ramp: r, update from which it grows `ramp_factor` times as fast.
        end: e, first update without pruning.
        frequency: f, updates between two prunings.
        ramp_factor: phi / theta, 1 or more; from 1.5 to 2 in the paper.

    Raises:
        ValueError: if an argument is out of range.

    Example:

    >>> rule = dsr_tf.pruning.LinearThreshold(
    ...     {"lstm": 0.12, "logits": 0.2}, 600, 4500, 9000, 100)
    >>> round(rule.threshold_at(0.12, 9000), 5)
    0.12003
    """

    number = "q"

    q: ByPath
    start: int
    ramp: int
    end: int
    frequency: int
    ramp_factor: float = 1.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "q", by_path.read("q", self.q))
        self._check_integers(start=0, ramp=0, end=1, frequency=1)
        self._check_order("start", "ramp", "end")
        if self.end == self.start:
            raise ValueError(
                f"`end` must be after start, {self.start}. Received: "
                f"end={self.end!r}"
            )
        factor = self.ramp_factor
        if not is_number(factor) or not 1 <= factor < math.inf:
            raise ValueError(
                "`ramp_factor` must be a number of at least 1. Received: "
                f"ramp_factor={factor!r}"
            )

    def threshold_at(self, q: float, step: int) -> float:
        """eps(t), see the class, whether or not t is a multiple.

        Args:
            q: That of the kernel.
            step: t, updates so far.
        """
        start, ramp, end = self.start, self.ramp, self.end
        theta = 2 * q * self.frequency
        theta /= 2 * (ramp - start) + 3 * (end - ramp)
        if step < ramp:
            return theta * (step - start + 1) / self.frequency
        phi = self.ramp_factor * theta
        rise = theta * (ramp - start + 1) + phi * (step - ramp + 1)
        return rise / self.frequency

    def unfinished(self, last_step: int) -> str | None:
        if self.next_due(last_step, last_step) is None:
            return None
        return (
            f"the last pruning was after update {last_step}, and the "
            f"threshold grows until update {self.end}"
        )

    def threshold(
        self, kernel: Candidate, number: float, step: int
    ) -> tuple[float, None]:
        return self.threshold_at(number, step), None
