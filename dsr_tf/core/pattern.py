"""N:M sparsity: of every M consecutive weights of a kernel N are active.

It is what sparse matrix units of processors are built for, 2:4 above all
(Mishra et al., 2021, "Accelerating sparse deep neural networks"; Zhou et
al., ICLR 2021, "Learning N:M fine-grained structured sparse neural networks
from scratch"). M such weights are called a bundle. A mask has an entry for
each weight, and bundles say which masks there may be.
"""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class Pattern:
    """The bundles of one kernel.

    Attributes:
        num_active: N, how many weights of a bundle are active.
        bundle_size: M, the weights of a bundle.
        shape: Shape of the kernel.
        axis: The axis that bundles lie along, from 0; M divides it.
    """

    num_active: int
    bundle_size: int
    shape: tuple[int, ...]
    axis: int

    @property
    def num_bundles(self) -> int:
        return math.prod(self.shape) // self.bundle_size

    def bundles(self, array: np.ndarray) -> np.ndarray:
        """An array with an entry for each weight, a bundle a row."""
        last = np.moveaxis(array.reshape(self.shape), self.axis, -1)
        return last.reshape(-1, self.bundle_size)

    def unbundle(self, bundles: np.ndarray) -> np.ndarray:
        """The inverse of `bundles`: an array of shape `shape`."""
        others = [n for i, n in enumerate(self.shape) if i != self.axis]
        last = bundles.reshape(*others, self.shape[self.axis])
        return np.moveaxis(last, -1, self.axis)

    def slots(self) -> np.ndarray:
        """For each weight, in memory order, its index in `bundles`,
        flattened: slot s is in bundle `s // bundle_size`."""
        slots = np.arange(math.prod(self.shape))
        return self.unbundle(slots).reshape(-1)

    def check(self, mask: np.ndarray) -> None:
        """Refuse a mask that this pattern has no place for.

        Where pruning is on its way from all weights to N, all bundles have
        more than N, the same number.

        Args:
            mask: Boolean array with an entry for each weight.

        Raises:
            ValueError: if bundles differ in their number of active weights,
                or have fewer than N.
        """
        counts = self.bundles(mask).sum(axis=1)
        least, most = int(counts.min()), int(counts.max())
        if least < self.num_active or most > least:
            raise ValueError(
                f"A mask of granularity '{self.num_active}:{self.bundle_size}' "
                f"must have {self.num_active} of every {self.bundle_size} "
                "weights active (or more, but the same number of all). "
                f"Received: a mask of shape {self.shape} with from {least} "
                f"to {most}"
            )


def largest_of_each(bundles: np.ndarray, num_chosen: int) -> np.ndarray:
    """In each row the largest numbers; ties go to the first.

    Args:
        bundles: Array `(num_bundles, bundle_size)`.
        num_chosen: How many of each row.

    Returns:
        Boolean array of that shape.
    """
    order = np.argsort(-bundles, axis=1, kind="stable")
    chosen = np.zeros(bundles.shape, "bool")
    np.put_along_axis(chosen, order[:, :num_chosen], True, axis=1)
    return chosen


def ranks_in_bundles(
    scores: np.ndarray, slots: np.ndarray, bundle_size: int
) -> np.ndarray:
    """For each score, how many of its bundle come before it in size.

    Args:
        scores: Array `(num_scores,)` of finite numbers, of some weights.
        slots: Integer array `(num_scores,)`, where these are in bundles.
        bundle_size: Weights of a bundle.

    Returns:
        Integer array `(num_scores,)`: 0 for the smallest of a bundle; of
        equal ones the first in the bundle is the smaller.
    """
    # Rows of a few numbers are sorted eight times as fast as all by bundle.
    num_bundles = int(slots.max(initial=-1)) // bundle_size + 1
    rows = np.full((num_bundles, bundle_size), np.inf, scores.dtype)
    rows.reshape(-1)[slots] = scores
    order = np.argsort(rows, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(bundle_size)[None], axis=1)
    return ranks.reshape(-1)[slots]
