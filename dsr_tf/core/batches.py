"""Batches of inputs, read from what `fit` takes as data."""

import itertools
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from dsr_tf.core.checks import is_integer

_ACCEPTED = (
    "an array, a tuple (x, y), a `tf.data.Dataset`, a "
    "`keras.utils.PyDataset`, or something that yields batches"
)


def input_batches(
    data: Any, batch_size: int = 32, num_batches: int | None = None
) -> Iterator[Any]:
    """The inputs of a model, batch by batch; targets are left out.

    Args:
        data: Array of inputs; tuple `(x,)`, `(x, y)` or `(x, y, weights)` of
            arrays or nested structures of these, whose first axis counts
            examples; or batches of such: a `tf.data.Dataset`, a
            `keras.utils.PyDataset`, a generator, or another iterable.
        batch_size: Examples a batch of arrays. Other data has its own.
        num_batches: How many batches to read at most; None reads all.

    Returns:
        Iterator of numpy arrays, or nested structures of these, as the model
        takes. The last batch of arrays may be smaller.

    Raises:
        TypeError: if `data` is none of these.
        ValueError: if an argument is out of range, or arrays have different
            numbers of examples. While iterating: if there is no batch.
    """
    for name, number in (
        ("batch_size", batch_size),
        ("num_batches", 1 if num_batches is None else num_batches),
    ):
        if not is_integer(number) or number < 1:
            raise ValueError(
                f"`{name}` must be a positive integer. Received: "
                f"{name}={number!r}"
            )
    return _not_empty(itertools.islice(_batches(data, batch_size), num_batches))


def num_examples(data: Any) -> int:
    """The first dimension that all arrays of a structure share.

    Raises:
        ValueError: if they share none, or it is 0.
    """
    arrays = keras.tree.flatten(data)
    shapes: list[Any] = [getattr(array, "shape", ()) for array in arrays]
    counts = {int(shape[0]) if len(shape) else 0 for shape in shapes}
    if len(counts) != 1 or 0 in counts:
        raise ValueError(
            "`data` must hold arrays or tensors of the same number of "
            f"examples, at least one. Received: data of shapes {shapes}"
        )
    return counts.pop()


def _batches(data: Any, batch_size: int) -> Iterator[Any]:
    if isinstance(data, keras.utils.PyDataset):
        number = data.num_batches
        indices = itertools.count() if number is None else range(number)
        return _inputs_of(data[index] for index in indices)
    if isinstance(data, (tuple, list, dict)) or hasattr(data, "shape"):
        inputs = keras.utils.unpack_x_y_sample_weight(data)[0]
        arrays = keras.tree.flatten(data)
        total = num_examples([a for a in arrays if a is not None])
        return (
            keras.tree.map_structure(
                lambda array, start=start: np.asarray(
                    array[start : start + batch_size]
                ),
                inputs,
            )
            for start in range(0, total, batch_size)
        )
    if isinstance(data, Iterable) and not isinstance(data, (str, bytes)):
        return _inputs_of(data)
    raise TypeError(
        f"`data` must be {_ACCEPTED}. Received: data of type "
        f"{type(data).__name__}"
    )


def _inputs_of(batches: Iterable[Any]) -> Iterator[Any]:
    for batch in batches:
        inputs = keras.utils.unpack_x_y_sample_weight(batch)[0]
        yield keras.tree.map_structure(np.asarray, inputs)


def _not_empty(batches: Iterator[Any]) -> Iterator[Any]:
    is_empty = True
    for batch in batches:
        is_empty = False
        yield batch
    if is_empty:
        raise ValueError(
            "`data` must hold at least one batch of examples. (A generator "
            "can be read only once.) Received: data without any"
        )
