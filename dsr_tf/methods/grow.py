"""Rules that choose which inactive groups become active.

A rule sees how many groups of a kernel are free to grow and answers with
the indices, among them, of those that do. Groups pruned in the same step
are never among the free ones.
"""

from collections.abc import Callable

import numpy as np

from dsr_tf.core.draws import distinct
from dsr_tf.core.pattern import ranks_in_bundles


def at_random(
    num_free_groups: int, num_grown_groups: int, generator: np.random.Generator
) -> np.ndarray:
    """Every set of so many groups is equally likely (DSR, SET).

    Args:
        num_free_groups: Number of groups to choose from.
        num_grown_groups: Number of groups to choose.
        generator: A `numpy.random.Generator`.

    Returns:
        Integer array `(num_grown_groups,)` of distinct indices below
        `num_free_groups`.
    """
    return distinct(generator, num_free_groups, num_grown_groups)


def largest(scores: np.ndarray, num_grown_groups: int) -> np.ndarray:
    """The groups of the largest scores (RigL, SNFS); ties go to the first.

    Args:
        scores: Array `(num_free_groups,)`.
        num_grown_groups: Number of groups to choose.

    Returns:
        Integer array `(num_grown_groups,)` of distinct indices below
        `num_free_groups`.
    """
    if num_grown_groups == 0:
        return np.zeros(0, "int64")
    # Partitioning is some forty times faster than sorting.
    least = np.partition(scores, -num_grown_groups)[-num_grown_groups]
    larger = np.flatnonzero(scores > least)
    ties = np.flatnonzero(scores == least)
    return np.concatenate([larger, ties[: num_grown_groups - larger.size]])


def at_random_alive(
    gradients: np.ndarray, num_grown_groups: int, generator: np.random.Generator
) -> np.ndarray:
    """Any of the groups that a gradient reaches, each as likely as the next.

    A weight whose input is always 0, or whose output nothing reads, has a
    gradient of exactly 0: it stays at the 0 that it grew with, and is pruned
    again. Where the others are too few, some of these follow, at random.

    Args:
        gradients: Array `(num_free_groups,)`, magnitudes.
        num_grown_groups: Number of groups to choose.
        generator: A `numpy.random.Generator`.

    Returns:
        Integer array `(num_grown_groups,)` of distinct indices below
        `num_free_groups`.
    """
    is_alive = gradients != 0
    num_alive = int(np.count_nonzero(is_alive))
    if num_alive == len(gradients):
        # The same choice, without a list of all of them.
        return distinct(generator, num_alive, num_grown_groups)
    alive = np.flatnonzero(is_alive)
    if num_grown_groups <= num_alive:
        return alive[distinct(generator, num_alive, num_grown_groups)]
    others = np.flatnonzero(~is_alive)
    number = num_grown_groups - num_alive
    more = others[distinct(generator, len(others), number)]
    return np.concatenate([alive, more])


def alive_first(
    gradients: np.ndarray, num_grown_groups: int, generator: np.random.Generator
) -> np.ndarray:
    """Scores that put groups that a gradient reaches first, at random.

    For the largest of parts of a kernel; else `at_random_alive` is faster.

    Args:
        gradients: Array `(num_free_groups,)`, magnitudes.
        num_grown_groups: How many are to grow.
        generator: A `numpy.random.Generator`.

    Returns:
        Array `(num_free_groups,)`, to take the largest of.
    """
    return (gradients > 0) + generator.random(len(gradients))


def half_by_gradient(
    gradients: np.ndarray, num_grown_groups: int, generator: np.random.Generator
) -> np.ndarray:
    """Scores by which half are of the largest gradients, others at random.

    Args:
        gradients: Array `(num_free_groups,)`, magnitudes.
        num_grown_groups: How many are to grow; of an odd number the odd one
            is random.
        generator: A `numpy.random.Generator`.

    Returns:
        Array `(num_free_groups,)`, to take the largest of.
    """
    scores = generator.random(len(gradients))
    scores[largest(gradients, num_grown_groups // 2)] = 1
    return scores


def largest_of_each(
    scores: np.ndarray,
    num_grown_groups: np.ndarray,
    slots: np.ndarray,
    bundle_size: int,
) -> np.ndarray:
    """In each bundle of N:M the weights of the largest scores.

    With random scores every set of so many is equally likely. Ties go to
    the first of the bundle.

    Args:
        scores: Array `(num_free_groups,)`.
        num_grown_groups: Integer array `(num_bundles,)`: how many of each
            bundle, at most those of it that are free.
        slots: Integer array `(num_free_groups,)`: where each free one is in
            bundles, see `dsr_tf.core.pattern.Pattern.slots`.
        bundle_size: M, the weights of a bundle.

    Returns:
        Integer array of distinct indices below `num_free_groups`.
    """
    ranks = ranks_in_bundles(-scores, slots, bundle_size)
    return np.flatnonzero(ranks < num_grown_groups[slots // bundle_size])


RANDOM, ALIVE, GRADIENT, HALF = "random", "alive", "gradient", "half"
# For methods that leave the choice: what makes scores, of which the largest
# grow, of the magnitudes of the gradients of free groups, how many grow, and
# a generator. At random needs no gradients.
SCORES: dict[str, Callable[..., np.ndarray] | None] = {
    RANDOM: None,
    ALIVE: alive_first,
    GRADIENT: lambda gradients, number, generator: gradients,
    HALF: half_by_gradient,
}
