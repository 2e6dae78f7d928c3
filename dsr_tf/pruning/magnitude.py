"""Which groups of a kernel stay when it is pruned by magnitude.

A rule sees the scores of all groups of a kernel, an array `(num_groups,)`,
and which of them are active, and answers with the new mask of that shape.
Inactive groups stay inactive: their weights are stored as 0.
"""

import numpy as np

from dsr_tf.core import distribution
from dsr_tf.core import pattern
from dsr_tf.methods import grow


def largest(
    scores: np.ndarray, active: np.ndarray, sparsity: float
) -> np.ndarray:
    """The `(1 - sparsity) * num_groups` largest; ties go to the first."""
    kept = distribution.num_active_groups(scores.size, sparsity)
    mask = np.zeros(scores.shape, "bool")
    mask[grow.largest(np.where(active, scores, -1), kept)] = True
    return mask & active


def largest_of_each(
    scores: np.ndarray, active: np.ndarray, sparsity: float, least: int
) -> np.ndarray:
    """The largest of each bundle of a granularity N:M.

    Args:
        scores: Array `(num_bundles, bundle_size)`.
        active: Booleans of that shape.
        sparsity: Each bundle keeps `(1 - sparsity) * bundle_size`, rounded.
        least: N, which it keeps in any case.

    Returns:
        The new mask of that shape; ties go to the first of a bundle.
    """
    kept = distribution.num_active_groups(scores.shape[1], sparsity)
    ranked = np.where(active, scores, -1)
    return pattern.largest_of_each(ranked, max(least, kept)) & active


def above_smoothed_threshold(
    scores: np.ndarray,
    active: np.ndarray,
    sparsity: float,
    threshold: float | np.float32,
    decay: float,
) -> tuple[np.ndarray, np.float32]:
    """Those at or above a threshold that lags behind (tf.contrib).

    The threshold that would keep as many as `largest` is averaged with the
    last one, of weight `decay`. The largest group stays in any case.

    Returns:
        The mask, and the new threshold.
    """
    kept = distribution.num_active_groups(scores.size, sparsity)
    exact = np.partition(scores, scores.size - kept)[scores.size - kept]
    smoothed = np.float32((1 - decay) * exact + decay * threshold)
    mask = active & (scores >= smoothed)
    if not mask.any():
        mask[np.argmax(np.where(active, scores, -1))] = True
    return mask, smoothed


def pool(groups: np.ndarray, pooling: str) -> np.ndarray:
    """One score for each row of `(num_groups, group_size)` weights."""
    magnitudes = np.abs(groups.astype("float32"))
    if pooling == "MAX":
        return magnitudes.max(axis=1)
    return magnitudes.mean(axis=1)
