"""Cutting arrays along their axes, and copies of layers that are cut so."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from dsr_tf.conversion.state import Transfer


def cut(values: np.ndarray, axes: Mapping[int, np.ndarray]) -> np.ndarray:
    """What is left of an array when entries along its axes go.

    Args:
        values: The array.
        axes: For an axis, a bool for each entry, True where it stays.
    """
    for axis, stays in axes.items():
        values = np.compress(stays, values, axis=axis)
    return np.array(values)


class CuttingTransfer(Transfer):
    """Copies states, and cuts variables along their axes.

    Args:
        cuts: By the identity of a variable, the `axes` of `cut`.
        resized: Identities of layers whose configuration changes.
    """

    def __init__(self, cuts: Mapping[int, Any], resized: set[int]) -> None:
        super().__init__()
        self._cuts, self._resized = cuts, resized

    def copy(self, old: keras.layers.Layer, new: keras.layers.Layer) -> None:
        is_cut = any(id(variable) in self._cuts for variable in old.variables)
        if not is_cut and id(old) not in self._resized:
            super().copy(old, new)
            return
        for a, b in self._nested(old, new):
            if b.trainable != a.trainable:
                b.trainable = a.trainable
        for a, b in zip(old.variables, new.variables, strict=True):
            self._note(a, b, old)
            b.assign(cut(ops.convert_to_numpy(a), self._cuts.get(id(a), {})))
            if b.trainable != a.trainable:
                b.trainable = a.trainable
