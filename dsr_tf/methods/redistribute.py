"""Rules that choose how many groups each kernel grows.

A rule sees whole numbers, one a kernel, and answers with such a list.
"""

from collections.abc import Sequence

import numpy as np

from dsr_tf.core.apportion import apportion


def to_survivors(
    total: int,
    num_surviving_weights: Sequence[int],
    capacities: Sequence[int],
    group_sizes: Sequence[int],
) -> list[int]:
    """In proportion to the weights that survived pruning (DSR).

    Layers where a larger part of the weights is large get more: this moves
    the budget to where it is needed (section 3.1 of the paper).

    Args:
        total: Number of weights to grow over all kernels.
        num_surviving_weights: Weights still active in each kernel.
        capacities: Groups that each kernel has room for.
        group_sizes: Weights a group of each kernel.

    Returns:
        Groups to grow in each kernel, exact in weights, see
        `dsr_tf.core.apportion`.
    """
    return apportion(total, num_surviving_weights, capacities, group_sizes)


def where_pruned(
    total: int,
    num_pruned_weights: Sequence[int],
    capacities: Sequence[int],
    group_sizes: Sequence[int],
) -> list[int]:
    """As many as were pruned in each kernel, overflow to the others.

    Args:
        total: Number of weights to grow over all kernels.
        num_pruned_weights: Weights pruned from each kernel.
        capacities: Groups that each kernel has room for.
        group_sizes: Weights a group of each kernel.
    """
    return apportion(total, num_pruned_weights, capacities, group_sizes)


# Means are apportioned as whole numbers of this part of the largest.
_PARTS = 2**40


def by_momentum(
    total: int,
    momenta: Sequence[np.ndarray],
    capacities: Sequence[int],
    group_sizes: Sequence[int],
) -> list[int]:
    """In proportion to the mean momentum of the active weights (SNFS).

    Args:
        total: Number of weights to grow over all kernels.
        momenta: One array a kernel: magnitudes of the momentum of its
            active groups.
        capacities: Groups that each kernel has room for.
        group_sizes: Weights a group of each kernel.
    """
    means = [float(np.mean(m, dtype="float64")) for m in momenta]
    largest = max(means)
    shares = [
        round(mean / largest * _PARTS) if largest else 0 for mean in means
    ]
    return apportion(total, shares, capacities, group_sizes)
