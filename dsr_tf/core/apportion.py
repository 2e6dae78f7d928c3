"""Sharing a whole number of weights out over kernels, exactly.

The one piece of arithmetic behind every budget: the first distribution of
the active weights and each redistribution of the pruned ones. It counts in
Python integers, so no rounding error of floating point can lose a weight.
"""

from collections.abc import Sequence
from fractions import Fraction


def apportion(
    total: int,
    shares: Sequence[int],
    capacities: Sequence[int],
    group_sizes: Sequence[int] | None = None,
) -> list[int]:
    """Share `total` weights out in whole groups, in proportion to `shares`.

    No kernel receives more groups than its capacity: what is too much for
    it goes to the others, in the same proportions. What rounding down
    leaves over is handed out one group a kernel by largest remainder (the
    method of Hamilton), a tie going to the kernel that comes first.

    Args:
        total: Number of weights to share out.
        shares: Non-negative integers, one a kernel; where all that still
            have room are 0, their capacities serve as shares.
        capacities: Most groups that each kernel can take.
        group_sizes: Weights a group of each kernel; 1 where not given.

    Returns:
        Number of groups of each kernel. In weights they sum to `total`, or
        to less where the capacities hold no more, or where what is left
        over is smaller than every group that still fits; never to more.

    Raises:
        ValueError: if anything is negative.
    """
    if group_sizes is None:
        group_sizes = [1] * len(shares)
    if total < 0 or min([0, *shares, *capacities]) < 0:
        raise ValueError(
            "`total`, `shares` and `capacities` must not be negative. "
            f"Received: total={total}, shares={shares}, "
            f"capacities={capacities}"
        )
    shares = [int(share) for share in shares]
    counts = [0] * len(shares)
    rest = int(total)
    open_kernels = [i for i, c in enumerate(capacities) if c > 0]

    # Kernels whose proportional part is more than they can take are filled
    # up; the others share the rest, until everyone can take their part.
    while open_kernels:
        if not any(shares[i] for i in open_kernels):
            shares = [c * s for c, s in zip(capacities, group_sizes)]
        share_sum = sum(shares[i] for i in open_kernels)
        full = [
            i
            for i in open_kernels
            if rest * shares[i] >= capacities[i] * group_sizes[i] * share_sum
        ]
        if not full:
            break
        for i in full:
            counts[i] = capacities[i]
            rest -= capacities[i] * group_sizes[i]
        open_kernels = [i for i in open_kernels if i not in full]

    remainders: dict[int, Fraction] = {}
    for i in open_kernels:
        part = Fraction(rest * shares[i], share_sum * group_sizes[i])
        counts[i] = int(part)
        remainders[i] = part - counts[i]
    rest -= sum(counts[i] * group_sizes[i] for i in open_kernels)

    by_remainder = sorted(open_kernels, key=lambda i: (-remainders[i], i))
    handed_out = True
    while rest > 0 and handed_out:
        handed_out = False
        for i in by_remainder:
            if group_sizes[i] <= rest and counts[i] < capacities[i]:
                counts[i] += 1
                rest -= group_sizes[i]
                handed_out = True
    return counts
