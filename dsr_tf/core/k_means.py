"""k-means of numbers: the few values that stand for all weights of a kernel.

Han et al. (2016), section 3. Along a line a cluster is an interval, so numbers
are sorted once; a step of Lloyd's algorithm then takes a binary search for
each centroid, whatever the number of weights.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

# Where centroids start, by name; the last takes the best of all others.
BEST = "best"


@dataclasses.dataclass(frozen=True, eq=False)
class Clusters:
    """Numbers and the centroids that stand for them.

    Attributes:
        centroids: float32 `(num_centroids,)`, ascending.
        members: Integers `(num_values,)`, the centroid of each number.
        error: Sum of the squared distances between numbers and centroids.
    """

    centroids: np.ndarray
    members: np.ndarray
    error: float


def k_means(
    values: np.ndarray,
    num_centroids: int,
    start: str = "linear",
    generator: np.random.Generator | None = None,
) -> Clusters:
    """Cluster numbers by Lloyd's algorithm, until nothing changes.

    Numbers of which no more than `num_centroids` differ are their own
    centroids, exactly. A centroid that nothing is near to stays where it
    starts. A number halfway between two belongs to the lower one.

    Args:
        values: Finite numbers `(num_values,)`.
        num_centroids: Number of centroids, at least 1.
        start: `"linear"`, evenly from the smallest number to the largest;
            `"quantile"`, with as many numbers from each to the next (the
            paper's "density-based"); `"random"`, some of the numbers; or
            `"best"`, that of the three with the least error.
        generator: What random ones are drawn by; for the last two.

    Returns:
        `Clusters`.

    Raises:
        ValueError: if `start` is none of these.
    """
    check_start(start)
    ordered = np.sort(np.asarray(values, "float64").reshape(-1))
    distinct = np.unique(ordered)
    if len(distinct) <= num_centroids:
        filled = np.zeros(num_centroids)
        filled[: len(distinct)] = distinct
        filled[len(distinct) :] = distinct[-1:].sum()
        return _clusters(values, filled)
    found = []
    for name in _STARTS if start == BEST else [start]:
        first = _STARTS[name](ordered, num_centroids, generator)
        found.append(_clusters(values, _lloyd(ordered, first)))
    return min(found, key=lambda clusters: clusters.error)


def check_start(start: str) -> None:
    """Refuse what is no way to start.

    Raises:
        ValueError: if it is none.
    """
    if start not in (*_STARTS, BEST):
        raise ValueError(
            f"`start` must be one of {', '.join(_STARTS)} and {BEST}. "
            f"Received: start={start!r}"
        )


def _lloyd(ordered: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Centroids that are the means of the numbers next to them."""
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    ends = np.zeros(0, "int64")
    while True:
        found = _ends(ordered, centroids)
        if np.array_equal(found, ends):
            return centroids
        ends = found
        firsts = np.concatenate([[0], ends[:-1]])
        counts = ends - firsts
        means = (sums[ends] - sums[firsts]) / np.maximum(counts, 1)
        # Means may be off by a rounding of the sums; their order is not.
        centroids = np.sort(np.where(counts > 0, means, centroids))


def _ends(ordered: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """For each centroid, how many numbers belong to it or those before."""
    halfway = (centroids[1:] + centroids[:-1]) / 2
    ends = np.searchsorted(ordered, halfway, side="right")
    return np.concatenate([ends, [len(ordered)]])


def _clusters(values: np.ndarray, centroids: np.ndarray) -> Clusters:
    """The clusters of centroids, as float32 has these."""
    centroids = centroids.astype("float32")
    exact = centroids.astype("float64")
    values = np.asarray(values, "float64").reshape(-1)
    members = np.searchsorted((exact[1:] + exact[:-1]) / 2, values, side="left")
    error = float(np.square(values - exact[members]).sum())
    return Clusters(centroids, members, error)


def _linear(
    ordered: np.ndarray, number: int, generator: np.random.Generator | None
) -> np.ndarray:
    return np.linspace(ordered[0], ordered[-1], number)


def _quantile(
    ordered: np.ndarray, number: int, generator: np.random.Generator | None
) -> np.ndarray:
    return np.quantile(ordered, np.linspace(0, 1, number))


def _random(
    ordered: np.ndarray, number: int, generator: np.random.Generator | None
) -> np.ndarray:
    assert generator is not None
    return np.sort(generator.choice(ordered, number, replace=False))


_Start = Callable[[np.ndarray, int, np.random.Generator | None], np.ndarray]
_STARTS: dict[str, _Start] = {
    "linear": _linear,
    "quantile": _quantile,
    "random": _random,
}
