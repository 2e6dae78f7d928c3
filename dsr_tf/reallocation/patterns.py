"""What masks must be like: bundles of granularities N:M, and room.

Both are asked of a method, and of each reallocation.
"""

import numpy as np

from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.methods import METHODS
from dsr_tf.methods.method import Method
from dsr_tf.reallocation.kernel import Kernel


class PatternBroken(RuntimeError):
    """A mask has not N of every M weights active; training is void."""


def check_method(method: Method, moving: list[MaskedWeight]) -> None:
    """Refuse a method that moves weights out of their bundles.

    Args:
        method: A `Method`.
        moving: List of the `MaskedWeight` that it is going to move.

    Raises:
        ValueError: if it does, and one of these is of granularity N:M.
    """
    if method.keeps_patterns:
        return
    for weight in moving:
        pattern = weight.grouping.pattern
        if pattern is not None:
            able = [m.__name__ for m in METHODS.values() if m.keeps_patterns]
            raise ValueError(
                f"{type(method).__name__} moves weights to anywhere, not only "
                f"within {pattern.bundle_size} consecutive ones, so it cannot "
                f"keep `granularity` '{weight.granularity}': use a method "
                f"that can, such as {', '.join(sorted(able))}, or another "
                f"granularity, such as 'element'. Received: granularity="
                f"{weight.granularity!r} for {weight.path}"
            )


def check_masks(kernels: list[Kernel]) -> None:
    """Check that bundles are as they must be, before weights move.

    Raises:
        PatternBroken: if some have not the same number of active weights.
    """
    for kernel in kernels:
        if kernel.slots is None:
            continue
        counts = kernel.counts_in_bundles(kernel.slots[0])
        least, most = int(counts.min()), int(counts.max())
        if least < most:
            raise PatternBroken(
                f"{kernel.path} has from {least} to {most} active weights in "
                f"each bundle of its granularity '{kernel.weight.granularity}'"
                ": something else has changed its mask"
            )


def check_moves(kernels: list[Kernel], method: Method) -> None:
    """Check that every bundle grows what it loses, and all have room.

    Raises:
        PatternBroken: if one does not.
    """
    for kernel in kernels:
        room = kernel.num_growable_groups
        if len(kernel.grown) > room:
            raise PatternBroken(
                f"{method} grew {len(kernel.grown)} groups of {kernel.path}, "
                f"which has room for {room} (`num_growable_groups`)"
            )
        if kernel.slots is None:
            continue
        active, free = kernel.slots
        lost = kernel.counts_in_bundles(active[kernel.pruned])
        grown = kernel.counts_in_bundles(free[kernel.grown])
        if not np.array_equal(lost, grown):
            bundle = np.flatnonzero(lost != grown)[0]
            raise PatternBroken(
                f"{method} broke the granularity '{kernel.weight.granularity}'"
                f" of {kernel.path}: bundle {bundle} lost {lost[bundle]} "
                f"weights and grew {grown[bundle]}"
            )
