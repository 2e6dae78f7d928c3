"""Rules that choose which inactive groups become active.

A rule sees how many groups of a kernel are free to grow and answers with
the indices, among them, of those that do. Groups pruned in the same step
are never among the free ones.
"""

import numpy as np


def at_random(
    num_free: int, num_grown: int, generator: np.random.Generator
) -> np.ndarray:
    """Every set of `num_grown` groups is equally likely (DSR, SET).

    Args:
        num_free: Number of groups to choose from.
        num_grown: Number of groups to choose.
        generator: A `numpy.random.Generator`.

    Returns:
        Integer array `(num_grown,)` of distinct indices below `num_free`.
    """
    return generator.choice(num_free, num_grown, replace=False, shuffle=False)


def largest(scores: np.ndarray, num_grown: int) -> np.ndarray:
    """The groups of the largest scores (RigL, SNFS); ties go to the first.

    Args:
        scores: Array `(num_free,)`.
        num_grown: Number of groups to choose.

    Returns:
        Integer array `(num_grown,)` of distinct indices below `num_free`.
    """
    if num_grown == 0:
        return np.zeros(0, "int64")
    # Partitioning is some forty times faster than sorting.
    least = np.partition(scores, -num_grown)[-num_grown]
    larger = np.flatnonzero(scores > least)
    ties = np.flatnonzero(scores == least)
    return np.concatenate([larger, ties[: num_grown - larger.size]])
