"""The masked kernels of a model on the host, to be changed and stored."""

import copy
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from dsr_tf.core import optimizer_slots
from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.reallocation.record import Moves


class Draft:
    """Kernels and masks as they are, and as they are going to be.

    Args:
        weights: List of `MaskedWeight` of single weights; those that are not
            in it are taken for active, and stay as they are.

    Attributes:
        weights: That list.
    """

    def __init__(self, weights: Sequence[MaskedWeight]) -> None:
        self.weights = list(weights)
        self._places = {id(w.kernel): n for n, w in enumerate(self.weights)}
        self._before = [_as_array(weight.mask) for weight in self.weights]
        self._masks = [mask.copy() for mask in self._before]
        self._kernels = [_as_array(weight.kernel) for weight in self.weights]

    def __contains__(self, variable: keras.Variable) -> bool:
        return id(variable) in self._places

    def copy(self) -> "Draft":
        """Another draft, as this one is now."""
        other = copy.copy(self)
        other._masks = [mask.copy() for mask in self._masks]
        other._kernels = [kernel.copy() for kernel in self._kernels]
        return other

    def mask(self, variable: keras.Variable) -> np.ndarray:
        """The mask of a kernel, of its shape; not to be changed."""
        return self._masks[self._places[id(variable)]]

    def kernel(self, variable: keras.Variable) -> np.ndarray:
        """The weights of a kernel, 0 where inactive; not to be changed."""
        return self._kernels[self._places[id(variable)]]

    def num_active(self, variable: keras.Variable) -> int:
        return int(self.mask(variable).sum())

    def mean_magnitude(self, variable: keras.Variable) -> float:
        """That of the weights of a kernel that are not 0; 0 without any."""
        magnitudes = np.abs(self.kernel(variable).astype("float64"))
        found = magnitudes[magnitudes > 0]
        return float(found.mean()) if found.size else 0.0

    def wake(
        self, variable: keras.Variable, places: np.ndarray, values: np.ndarray
    ) -> None:
        """Let inactive weights become active.

        Args:
            variable: The kernel.
            places: Booleans of its shape; those that are active stay as they
                are.
            values: Array of its shape, what they start from.
        """
        number = self._places[id(variable)]
        woken = places & ~self._masks[number]
        self._masks[number] |= woken
        kernel = self._kernels[number]
        kernel[woken] = values[woken].astype(kernel.dtype)

    def prune(self, variable: keras.Variable, places: np.ndarray) -> None:
        """Let weights become inactive."""
        number = self._places[id(variable)]
        self._masks[number] &= ~places
        self._kernels[number][places] = 0

    def write(self) -> None:
        """Give the model these kernels and masks."""
        for weight, mask, kernel in zip(
            self.weights, self._masks, self._kernels
        ):
            weight.mask.assign(mask)
            weight.kernel.assign(kernel)

    def store(self, optimizer: keras.optimizers.Optimizer) -> dict[str, Moves]:
        """Write; what has changed starts with empty optimizer slots.

        Returns:
            The `Moves` of the weights, by path of the kernel.
        """
        self.write()
        moves = {}
        for weight, mask, before in zip(
            self.weights, self._masks, self._before
        ):
            moves[weight.path] = Moves(
                np.flatnonzero(before & ~mask), np.flatnonzero(mask & ~before)
            )
            changed = (mask != before).reshape(-1)
            if changed.any():
                optimizer_slots.start_afresh(
                    optimizer, weight.kernel, weight.grouping, changed
                )
        return moves


def _as_array(variable: keras.Variable) -> np.ndarray:
    return ops.convert_to_numpy(variable).copy()
