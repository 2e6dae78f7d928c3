"""Rules that choose which active groups become inactive.

A rule sees the scores of a kernel's active groups, an array
`(num_active_groups,)` of mean magnitudes, and answers with a boolean array of
that shape.
"""

from collections.abc import Iterable
from collections.abc import Sequence

import numpy as np

from dsr_tf.core.pattern import ranks_in_bundles
from dsr_tf.methods import grow


def below(scores: np.ndarray, threshold: float) -> np.ndarray:
    """Groups whose score is strictly below the threshold (DSR)."""
    return scores < threshold


def smallest(scores: np.ndarray, num_pruned_groups: int) -> np.ndarray:
    """The given number of groups with the smallest scores (SET)."""
    pruned = np.zeros(scores.shape, "bool")
    if num_pruned_groups > 0:
        order = np.argpartition(scores, num_pruned_groups - 1)
        pruned[order[:num_pruned_groups]] = True
    return pruned


def smallest_of_all(
    scores: Sequence[np.ndarray],
    group_sizes: Sequence[int],
    fraction: float,
    most: Sequence[int] | None = None,
) -> list[np.ndarray]:
    """The smallest groups of all kernels together.

    But the largest of each kernel, its last one (`keep_last_group`), so that
    a share is exact, and a kernel of small weights does not end all moves.

    Args:
        scores: One array `(num_active_groups,)` a kernel.
        group_sizes: Weights a group of each kernel.
        fraction: Share of all weights, rounded. Groups go in the order of
            their scores, ties in that of the kernels, as long as their
            weights are no more than that.
        most: How many groups of each kernel can go; None for all but the
            largest.

    Returns:
        One boolean array a kernel.
    """
    if not scores:
        return []
    every = np.concatenate(scores)
    lengths = [len(s) for s in scores]
    starts = np.cumsum([0, *lengths])
    can_go = np.ones(len(every), "bool")
    for start, s, n in zip(starts, scores, most or lengths):
        can_go[start : start + len(s)] = smallest(s, min(n, len(s) - 1))
    total = sum(n * size for n, size in zip(lengths, group_sizes))
    limit = round(fraction * total)
    order = np.flatnonzero(can_go)
    if len(set(group_sizes)) == 1:
        number = min(limit // group_sizes[0], len(order))
        gone = order[grow.largest(-every[order], number)]
    else:
        # Sorting takes longest: no more than so many fit, and what is equal
        # to the last of them.
        num_first = limit // min(group_sizes)
        if num_first < len(order):
            last = np.partition(every[order], num_first)[num_first]
            order = order[every[order] <= last]
        order = order[np.argsort(every[order], kind="stable")]
        sizes = np.repeat(group_sizes, lengths)[order]
        gone = order[np.cumsum(sizes) <= limit]
    pruned = np.zeros_like(can_go)
    pruned[gone] = True
    return np.split(pruned, starts[1:-1])


def lamp_scores(scores: np.ndarray, group_size: int) -> np.ndarray:
    """How much of a kernel each group is, to compare those of all kernels.

    Lee et al., "Layer-adaptive sparsity for the magnitude-based pruning"
    (LAMP), ICLR 2021, equation 5: the square of a magnitude over the sum of
    its own and of all that are larger in the kernel. So it does not depend
    on how large the weights of a kernel are in the mean, and those of a small
    kernel count for more.

    Args:
        scores: Array `(num_active_groups,)`, mean magnitudes.
        group_size: Weights a group, each of which has its part of the score.

    Returns:
        Float64 array `(num_active_groups,)`, in the order of the scores; of
        equal ones the first is the smallest.
    """
    order = np.argsort(scores, kind="stable")
    squares = scores[order].astype("float64") ** 2
    remaining = np.cumsum(squares[::-1])[::-1] * group_size
    result = np.zeros(squares.shape)
    result[order] = squares / np.where(remaining > 0, remaining, 1)
    return result


def smallest_with_room(
    scores: np.ndarray,
    num_pruned_groups: int,
    slots: np.ndarray,
    bundle_size: int,
) -> np.ndarray:
    """The smallest, but of each bundle of N:M no more than it can regrow.

    A bundle grows what it loses among its inactive weights, without those
    that it has just lost: it can lose as many as are inactive. Where it has
    lost so many, the next smallest of other bundles go.

    Args:
        scores: Array `(num_active_groups,)`.
        num_pruned_groups: How many; fewer where bundles have less room.
        slots: Integer array `(num_active_groups,)`: where each is in
            bundles, see `dsr_tf.core.pattern.Pattern.slots`.
        bundle_size: M, the weights of a bundle.

    Returns:
        Boolean array `(num_active_groups,)`.
    """
    bundles = slots // bundle_size
    room = bundle_size - np.bincount(bundles)
    ranks = ranks_in_bundles(scores, slots, bundle_size)
    movable = np.flatnonzero(ranks < room[bundles])
    pruned = np.zeros(scores.shape, "bool")
    pruned[movable] = smallest(
        scores[movable], min(num_pruned_groups, len(movable))
    )
    return pruned


def none(scores: np.ndarray) -> np.ndarray:
    """No group (static sparsity)."""
    return np.zeros(scores.shape, "bool")


def keep_last_group(pruned: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The same choice, but for the largest group where all would go.

    A kernel without an active group would cut the network and could never
    receive a share of the growth again. (The authors' code keeps the first
    group in memory order; the largest is the one that matters most.)
    """
    if pruned.size and pruned.all():
        pruned = pruned.copy()
        pruned[np.argmax(scores)] = False
    return pruned


def limit_weights(
    pruned: list[np.ndarray],
    scores: Iterable[np.ndarray],
    group_sizes: Sequence[int],
    limit: int,
) -> list[np.ndarray]:
    """The same choices with at most `limit` weights in all.

    Where a model is nearly dense, more may be chosen than there is free
    room to grow again. Then those with the largest scores stay, and of equal
    ones the last: what goes is what would have gone first.

    Args:
        pruned: One boolean array a kernel.
        scores: One array of scores a kernel, which are compared with those
            of other kernels. They are read only where some must stay, so they
            may be an iterator that computes them.
        group_sizes: Weights a group of each kernel.
        limit: Largest number of weights to prune, over all kernels.

    Returns:
        One boolean array a kernel.
    """
    excess = -limit + sum(
        int(np.count_nonzero(p)) * size for p, size in zip(pruned, group_sizes)
    )
    if excess <= 0:
        return pruned
    lengths = [len(p) for p in pruned]
    is_pruned = np.concatenate(pruned)
    chosen = np.flatnonzero(is_pruned)
    order = np.argsort(np.concatenate([*scores])[chosen], kind="stable")
    largest_first = chosen[order[::-1]]
    sizes = np.repeat(group_sizes, lengths)[largest_first]
    num_staying = 1 + np.searchsorted(np.cumsum(sizes), excess)
    is_pruned[largest_first[:num_staying]] = False
    return np.split(is_pruned, np.cumsum(lengths)[:-1])
