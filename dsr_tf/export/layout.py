"""Variables as rows of one array, and back as tensors of a graph.

A graph of many variables is mostly bookkeeping, so all of them share one
array, which is cut up again by as few operations as will do.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dsr_tf.export import packing

# Kernels begin at a multiple of this many values (64 bytes): cutting the
# array into such tensors is a view and not a copy.
ROW = 16

# What float32 holds exactly.
PACKED = ("float32", "bfloat16", "float16")


class Layout:
    """Where each variable lies in one float32 array.

    Kernels that fill rows come first, each a range of rows. All others
    (vectors above all) follow one after another, and are copied when read,
    which costs little beside the kernels. What float32 cannot hold exactly
    (counters, seeds, float64) is a constant of the graph.

    Args:
        variables: Keras variables.
        values: Their values, arrays.
        narrow: Name of the dtype that kernels are rounded to.

    Raises:
        ValueError: if a weight is too large for `narrow`.
    """

    def __init__(
        self,
        variables: Iterable[keras.Variable],
        values: Iterable[np.ndarray],
        narrow: str = "float32",
    ) -> None:
        self._constants, self._kernels, self._rest = [], [], []
        kernels: list[np.ndarray] = []
        rest: list[np.ndarray] = []
        for variable, value in zip(variables, values):
            dtype = keras.backend.standardize_dtype(variable.dtype)
            entry = variable, dtype, value.shape
            if dtype not in PACKED:
                self._constants.append((variable, value))
            elif value.ndim > 1 and value.size % ROW == 0 and value.size:
                self._kernels.append(entry)
                value = rounded(variable.path, value, narrow)
                kernels.append(value.reshape(-1, ROW))
            else:
                self._rest.append(entry)
                rest.append(value.astype("float32").reshape(-1))
        num_rest = sum(value.size for value in rest)
        self._padding = -num_rest % ROW
        rest.append(np.zeros(self._padding, "float32"))
        parts = [*kernels, np.concatenate(rest).reshape(-1, ROW)]
        self._num_rows = [len(rows) for rows in parts]
        self.rows = np.concatenate(parts)
        self.num_in_kernels = self.rows.size - parts[-1].size

    def tensors(self, rows: Any) -> Iterator[tuple[keras.Variable, Any]]:
        """Pairs of a variable and its value, cut from the tensor `rows`."""
        for variable, value in self._constants:
            yield variable, tf.constant(value)
        if not len(self.rows):
            return
        *kernels, rest = tf.split(rows, self._num_rows)
        for (variable, dtype, shape), part in zip(self._kernels, kernels):
            yield variable, tf.cast(tf.reshape(part, shape), dtype)
        if not self._rest:
            return
        sizes = [int(np.prod(shape)) for _, _, shape in self._rest]
        if self._padding:
            sizes.append(self._padding)
        parts = tf.split(tf.reshape(rest, [-1]), sizes)
        for (variable, dtype, shape), part in zip(self._rest, parts):
            if len(shape) != 1:
                part = tf.reshape(part, shape)
            yield variable, tf.cast(part, dtype)


def rounded(path: str, value: np.ndarray, narrow: str) -> np.ndarray:
    """A kernel in float32, rounded to what `narrow` can hold."""
    value = value.astype("float32")
    if narrow == "float32":
        return value
    with np.errstate(over="ignore"):
        rounded = value.astype(packing.DTYPES[narrow]).astype("float32")
    too_large = np.isfinite(value) & ~np.isfinite(rounded)
    if too_large.any():
        raise ValueError(
            f"`values` {narrow} cannot hold the weight "
            f"{value[too_large][0]:g} of {path}. Use float32 or bfloat16."
        )
    return rounded
