"""Thresholds by the deviation of a layer's weights (Han et al., 2015)."""

import dataclasses

import numpy as np

from dsr_tf.pruning import by_path
from dsr_tf.pruning.by_path import ByPath
from dsr_tf.pruning.rule import Candidate
from dsr_tf.pruning.threshold import Threshold


@dataclasses.dataclass(frozen=True)
class StdThreshold(Threshold):
    """Pruning of a trained network (Han et al., 2015, section 4).

    The first step of Deep Compression (Han et al., 2016). After update t,
    where `start < t < end` and t is a multiple of `frequency`, weights go
    whose magnitude is not above `quality` times the standard deviation of
    the kernel's weights. The deviation is that of the weights that are
    active at the first pruning, of the dense layer, and is kept in the
    model, as Intel's distiller has it: as weights shrink between prunings,
    the same threshold catches more. What the paper leaves open, when and how
    often, is an argument.

    Args:
        quality: Multiple of the deviation, at least 0; or a dict
            `{regular expression: quality}` of kernels whose path it is found
            in, where others are not pruned.
        frequency: Updates between two prunings.
        start: Update after which weights may be pruned.
        end: First update without pruning; None for no end.

    Raises:
        ValueError: if an argument is out of range.
    """

    number = "quality"
    memory = "dense_deviation"

    quality: ByPath
    frequency: int
    start: int = 0
    end: int | None = None

    def __post_init__(self) -> None:
        read = by_path.read("quality", self.quality)
        object.__setattr__(self, "quality", read)
        self._check_integers(frequency=1, start=0)
        if self.end is not None:
            self._check_integers(end=1)
            self._check_order("start", "end")

    def threshold(
        self, kernel: Candidate, number: float, step: int
    ) -> tuple[float, np.float32]:
        deviation = kernel.remembered
        if not deviation:
            active = kernel.weights[kernel.active]
            deviation = np.float32(active.astype("float64").std())
        # As it is read again, so that the threshold stays the same.
        return number * float(deviation), deviation
