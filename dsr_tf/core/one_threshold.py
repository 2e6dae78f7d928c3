"""The groups with the largest scores of several kernels, taken together."""

from collections.abc import Sequence

import numpy as np

# Above the bits of any finite float32 that is not negative.
_INFINITY = 0x7F800000


def largest_groups(
    scores: Sequence[np.ndarray], group_sizes: Sequence[int], budget: int
) -> list[np.ndarray]:
    """Choose the groups with the largest scores, whatever their kernel.

    Every kernel keeps its largest group. The others follow from the largest
    score down until the budget is used up; of equal scores the first kernel,
    and in it the first group, goes first. A group that does not fit any more
    is passed over for smaller ones.

    It finds the threshold by bisection: the bits of floats that are not
    negative are in their order. So it needs no more memory than a mask or
    two of each kernel.

    Args:
        scores: One float32 array a kernel, finite, none below 0.
        group_sizes: Weights a group of each kernel.
        budget: Largest number of weights to choose, at least a group of
            each kernel.

    Returns:
        One boolean array a kernel. In weights they sum to the budget; where
        groups differ in size the sum may be less by less than the largest.
    """
    bits = [
        np.ascontiguousarray(kernel, "float32").view("uint32")
        for kernel in scores
    ]
    chosen = [np.zeros(kernel.shape, "bool") for kernel in bits]
    for mask, kernel in zip(chosen, bits):
        mask[np.argmax(kernel)] = True
    left = budget - sum(group_sizes)

    def at_least(threshold: int, i: int) -> np.ndarray:
        return (bits[i] >= threshold) & ~chosen[i]

    while True:
        fitting = [
            i
            for i, size in enumerate(group_sizes)
            if size <= left and not chosen[i].all()
        ]
        if not fitting:
            return chosen
        low, high = 0, _INFINITY
        while low < high:
            middle = (low + high) // 2
            weights = sum(
                int(np.count_nonzero(at_least(middle, i))) * group_sizes[i]
                for i in fitting
            )
            if weights <= left:
                high = middle
            else:
                low = middle + 1
        for i in fitting:
            above = at_least(low, i)
            chosen[i] |= above
            left -= int(np.count_nonzero(above)) * group_sizes[i]
        # Those just below the threshold are equal, and do not all fit.
        for i in fitting:
            tied = np.flatnonzero(at_least(max(0, low - 1), i))
            tied = tied[: left // group_sizes[i]]
            chosen[i][tied] = True
            left -= len(tied) * group_sizes[i]
