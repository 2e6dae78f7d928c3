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

    def cuts(self, layer: keras.layers.Layer) -> bool:
        """Whether something goes of a variable of a layer."""
        return any(id(variable) in self._cuts for variable in layer.variables)

    def copy(self, old: keras.layers.Layer, new: keras.layers.Layer) -> None:
        if not self.cuts(old) and id(old) not in self._resized:
            super().copy(old, new)
            return
        for a, b in self._nested(old, new):
            if b.trainable != a.trainable:
                b.trainable = a.trainable
        for a, b in zip(old.variables, new.variables, strict=True):
            self._note(a, b, old)
            b.assign(cut(ops.convert_to_numpy(a), self._cuts.get(id(a), {})))
            if id(a) in self._cuts:
                _check_fits(b)
            if b.trainable != a.trainable:
                b.trainable = a.trainable


def _check_fits(variable: keras.Variable) -> None:
    """Check that what holds for a variable can do so for what is left of it.

    Raises:
        ValueError: if its regularizer or constraint takes another shape.
    """
    shape = tuple(variable.shape)
    for name in ("regularizer", "constraint"):
        function = getattr(variable, name, None)
        if function is None:
            continue
        try:
            result = function(variable)
            fits = name == "regularizer" or tuple(result.shape) == shape
        except Exception:  # Those of users raise what they like.
            fits = False
        if not fits:
            raise ValueError(
                f"The {name} {type(function).__name__} of {variable.path} "
                f"does not take what is left of it, of shape {shape}"
            )
