"""How few weights a kernel may have, where a budget moves between kernels.

Magnitudes say little of what a kernel needs where those of another one are
larger by themselves, as beside a depthwise convolution: whoever compares them
over the model can drain a kernel. How many units it has to connect says
something too, and that is ERK (`dsr_tf.core.distribution`). So each kernel
has a part of what ERK would give it. With no more than that it is for itself:
it loses the share of its weights that all lose, and grows as many again.
"""

import math
from collections.abc import Sequence

from dsr_tf.core.apportion import apportion
from dsr_tf.core.distribution import erdos_renyi_kernel
from dsr_tf.methods.method import KernelView


def of_erk(
    part: float, num_weights: int, kernels: Sequence[KernelView]
) -> list[int]:
    """A part of what ERK gives each kernel.

    Args:
        part: In [0, 1].
        num_weights: Active weights of all kernels.
        kernels: List of `KernelView`.

    Returns:
        Numbers of groups.
    """
    sizes = [kernel.group_size for kernel in kernels]
    by_erk = apportion(
        num_weights,
        [erdos_renyi_kernel(kernel.shape) for kernel in kernels],
        [math.prod(k.shape) // size for k, size in zip(kernels, sizes)],
        sizes,
    )
    return [int(part * num_groups) for num_groups in by_erk]


def most_to_go(
    part: float, fraction: float, kernels: Sequence[KernelView]
) -> list[int]:
    """How many groups a kernel can lose before it is at its floor.

    Args:
        part: That of `of_erk`.
        fraction: The share that a kernel loses in any case.
        kernels: List of `KernelView`.

    Returns:
        Numbers of groups, at most those that are active.
    """
    num_weights = sum(k.num_active_groups * k.group_size for k in kernels)
    return [
        max(k.num_active_groups - floor, round(fraction * k.num_active_groups))
        for k, floor in zip(kernels, of_erk(part, num_weights, kernels))
    ]


def missing(
    part: float, total: int, kernels: Sequence[KernelView]
) -> list[int]:
    """How many groups kernels grow to get up to their floors.

    Args:
        part: That of `of_erk`.
        total: Weights that grow in all kernels.
        kernels: List of `KernelView`, with `num_pruned_groups` filled in.

    Returns:
        Numbers of groups, in weights `total` at most: if more is missing,
        each kernel has its share.
    """
    num_weights = total + sum(k.num_surviving_weights for k in kernels)
    room = [
        min(
            max(0, floor - kernel.num_surviving_weights // kernel.group_size),
            kernel.num_growable_groups,
        )
        for kernel, floor in zip(kernels, of_erk(part, num_weights, kernels))
    ]
    sizes = [kernel.group_size for kernel in kernels]
    wanted = [groups * size for groups, size in zip(room, sizes)]
    return apportion(min(total, sum(wanted)), wanted, room, sizes)
