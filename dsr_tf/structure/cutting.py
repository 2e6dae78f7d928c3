"""Cutting arrays along their axes."""

from collections.abc import Mapping

import numpy as np


def cut(values: np.ndarray, axes: Mapping[int, np.ndarray]) -> np.ndarray:
    """What is left of an array when entries along its axes go.

    Args:
        values: The array.
        axes: For an axis, a bool for each entry, True where it stays.
    """
    for axis, stays in axes.items():
        values = np.compress(stays, values, axis=axis)
    return np.array(values)
