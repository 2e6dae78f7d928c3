"""How many of a layer's units say something of their own, and which.

Principal filter analysis (Suau, Zappella & Apostoloff, 2018) looks at the
covariance of the units' responses to examples: at its eigenvalues for how
many, at correlations for which. Ties go to the unit that comes first.
"""

import numpy as np

from dsr_tf.structure.statistics.solvers import checked_moments

# Of the largest variance: below, a unit is inactive (`epsilon_inactive` of
# the authors' code, `apple/dnikit`: `_pfa/_covariances_calculator.py`).
_INACTIVE = 1e-8


def spectrum_share(covariance: np.ndarray) -> float:
    """The share of units that stays by PFA's KL rule.

    It is 1 minus the divergence of the eigenvalues' distribution from the
    uniform one, as a share of the largest possible (Suau et al. 2018,
    section 3.2; `apple/dnikit`: `_pfa_algorithms.py`). `ceil(C * share)`
    units stay.

    Args:
        covariance: Array `(C, C)` of the responses of C units.

    Returns:
        A number from 0 to 1: 1 where all directions vary alike.
    """
    values = _eigenvalues(covariance)
    if len(values) == 1:
        return 1.0
    p = values / (values.sum() or 1.0) + np.finfo("float64").eps
    p /= p.sum()
    divergence = float(np.sum(p * np.log(p * len(p))))
    return min(1.0, max(0.0, 1 - divergence / np.log(len(p))))


def energy_before(covariance: np.ndarray) -> np.ndarray:
    """The share of the variance that the largest k directions hold.

    PFA's energy rule keeps as many units as there are entries below its
    threshold: the fewest directions that hold that share of the variance.

    Args:
        covariance: Array `(C, C)` of the responses of C units.

    Returns:
        Array `(C,)` for k from 0 to C - 1, ascending from 0. Where nothing
        varies, 0 and then 1.
    """
    values = _eigenvalues(covariance)
    total = values.sum()
    if total == 0:
        return np.minimum(np.arange(len(values)), 1.0)
    return np.concatenate([[0.0], np.cumsum(values[:-1]) / total])


def most_correlated(
    covariance: np.ndarray, num_kept: int, rule: str = "l1"
) -> np.ndarray:
    """Drop the units that are most correlated with those left, one by one.

    First go units whose variance is below 1e-8 of the largest. Then, by
    `rule`, `"l1"`: the unit with the largest sum of |correlation| to those
    left, of equal ones that with the largest coefficient; `"abs"`: of the
    units with the largest |correlation| that whose second largest is larger
    (L1-Max and AbsMax of `apple/dnikit`: `_pfa_units.py`).

    Args:
        covariance: Array `(C, C)` of the responses of C units.
        num_kept: How many units stay, from 1 to C.
        rule: `"l1"` or `"abs"`.

    Returns:
        Boolean array `(C,)`, True for units that stay: fewer than
        `num_kept` where fewer are active, one where none is.

    Raises:
        ValueError: if an argument is out of range, or not finite.
    """
    covariance = checked_moments(covariance, num_kept)
    if rule not in ("l1", "abs"):
        raise ValueError(
            f"`rule` must be 'l1' or 'abs'. Received: rule={rule!r}"
        )
    variance = np.abs(covariance.diagonal())
    kept = variance >= _INACTIVE * variance.max()
    if not variance.any():
        return np.arange(len(variance)) == 0
    deviation = np.sqrt(variance)
    correlation = np.abs(covariance) / np.where(
        np.outer(kept, kept), np.outer(deviation, deviation), np.inf
    )
    np.fill_diagonal(correlation, 0)
    worst = _by_sum if rule == "l1" else _by_largest
    for _ in range(int(kept.sum()) - num_kept):
        unit = worst(correlation, kept)
        kept[unit] = False
        correlation[unit] = correlation[:, unit] = 0
    return kept


def _by_sum(correlation: np.ndarray, kept: np.ndarray) -> int:
    sums = np.where(kept, correlation.sum(axis=0), -np.inf)
    candidates = np.flatnonzero(np.isclose(sums, sums.max()))
    return _first_of(candidates, correlation.max(axis=0))


def _by_largest(correlation: np.ndarray, kept: np.ndarray) -> int:
    two = np.sort(np.partition(correlation, -2, axis=0)[-2:], axis=0)
    largest = np.where(kept, two[1], -np.inf)
    candidates = np.flatnonzero(np.isclose(largest, largest.max()))
    return _first_of(candidates, two[0])


def _first_of(candidates: np.ndarray, values: np.ndarray) -> int:
    """The first of those with the largest value, but for rounding."""
    own = values[candidates]
    return int(candidates[np.flatnonzero(np.isclose(own, own.max()))[0]])


def _eigenvalues(covariance: np.ndarray) -> np.ndarray:
    """From the largest on, none below 0."""
    values = np.linalg.eigvalsh(np.asarray(covariance, "float64"))
    return np.maximum(values, 0.0)[::-1]
