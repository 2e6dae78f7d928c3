"""The free groups that gradients speak for, until a reallocation."""

import dataclasses
from typing import Any

import numpy as np

from dsr_tf.core.grouping import Grouping


@dataclasses.dataclass(frozen=True)
class Found:
    """Free groups of each bin of a kernel (see `dsr_tf.core.room`).

    Attributes:
        scores: float32 array `(num_bins, num_kept)`, the largest first: mean
            magnitudes of the gradient, or lots above 0 of those that were
            drawn (`dsr_tf.core.stripes`). -1 where a bin has no more that are
            free, infinite where the gradient is not finite.
        numbers: Integers of that shape, which group of the bin it is.
    """

    scores: np.ndarray
    numbers: np.ndarray

    def places(self, grouping: Grouping) -> tuple[np.ndarray, np.ndarray]:
        """Places of all of them in ascending order, and their scores."""
        assert grouping.room is not None
        bins, _ = np.nonzero(self.scores >= 0)
        numbers = self.numbers[self.scores >= 0].astype("int64")
        places = grouping.room.places(bins, numbers)
        order = np.argsort(places)
        return places[order], self.scores[self.scores >= 0][order]

    def fits(self, grouping: Grouping, active: np.ndarray) -> bool:
        """Whether these can be the free groups of a kernel.

        Args:
            grouping: The `Grouping`.
            active: Integer array, the places of its active groups.
        """
        assert grouping.room is not None
        shape = num_bins, num_kept = shape_of(grouping)
        if self.scores.shape != shape or self.numbers.shape != shape:
            return False
        size = grouping.num_groups // num_bins
        if self.numbers.min() < 0 or self.numbers.max() >= size:
            return False
        places, _ = self.places(grouping)
        free = size - grouping.room.counts(active)
        return (
            not np.isnan(self.scores).any()
            and not np.isin(places, active).any()
            and len(np.unique(places)) == len(places)
            and (grouping.room.counts(places) == free.clip(0, num_kept)).all()
        )


def shape_of(grouping: Grouping) -> tuple[int, int]:
    """Number of bins, and how many groups of each are looked for.

    As many as it has slots: no more can grow.
    """
    assert grouping.room is not None
    num_bins = grouping.room.num_bins
    return num_bins, min(
        grouping.room.num_slots, grouping.num_groups // num_bins
    )


class Candidates:
    """Keeps what has been found of a kernel; here, what a file holds."""

    def __init__(self) -> None:
        self._found: Found | None = None

    def read(self) -> Found | None:
        """What the last step that looked has found; None if none has."""
        return self._found

    def assign(self, found: Found | None) -> None:
        """Keep something else, or nothing."""
        self._found = found

    def watch(self, inputs: Any, outputs: Any, is_open: Any) -> Any:
        """Catch what the gradient is made of.

        Args:
            inputs: Tensor `(batch, in)`, or integers `(batch,)` for a table.
            outputs: Tensor `(batch, out)`, the product.
            is_open: Boolean tensor, whether in this step.

        Returns:
            `outputs`, to be used in their place.
        """
        return outputs
