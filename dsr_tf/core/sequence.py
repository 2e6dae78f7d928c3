"""Loops over the first axis of tensors that have one step in memory."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


def scan(
    function: Callable[..., tuple[Any, Any]],
    carry: Any,
    sequences: Sequence[Any],
) -> tuple[Any, Any]:
    """Call a function with what it returned before and the next entries.

    As `keras.ops.scan`, which on TensorFlow takes functions only whose two
    results have the same shape.

    Args:
        function: Takes the carry and an entry of each sequence; returns the
            next carry, of the same shape and dtype, and a tensor.
        carry: Tensor, the first carry.
        sequences: Tensors of n entries each, n known and at least 1.

    Returns:
        The last carry, and the n tensors, stacked.
    """
    length = sequences[0].shape[0]
    if length == 1:
        carry, only = function(carry, *(entries[0] for entries in sequences))
        return carry, ops.expand_dims(only, 0)
    if keras.backend.backend() != "tensorflow":
        return ops.scan(
            lambda c, own: function(c, *own), carry, tuple(sequences)
        )
    import tensorflow as tf

    def body(i: Any, carry: Any, results: Any) -> tuple[Any, Any, Any]:
        carry, result = function(carry, *(entries[i] for entries in sequences))
        return i + 1, carry, results.write(i, result)

    results = tf.TensorArray(carry.dtype, length)
    # One at a time: else what several gather would be in memory at once.
    _, carry, results = tf.while_loop(
        lambda i, *_: i < length,
        body,
        (0, carry, results),
        parallel_iterations=1,
    )
    return carry, results.stack()


def each(
    function: Callable[..., tuple[Any, ...]],
    sequences: Sequence[Any],
    dtypes: Sequence[str],
) -> tuple[Any, ...]:
    """Call a function with the entries of sequences, one after the other.

    As `keras.ops.map`, which on TensorFlow may compute ten at a time.

    Args:
        function: Takes an entry of each sequence; returns tensors.
        sequences: Tensors of n entries each, n known and at least 1.
        dtypes: Those of what it returns.

    Returns:
        The tensors that it returned, n of each, stacked.
    """
    if sequences[0].shape[0] == 1:
        found = function(*(entries[0] for entries in sequences))
        return tuple(ops.expand_dims(tensor, 0) for tensor in found)

    def of_entries(entries: tuple[Any, ...]) -> tuple[Any, ...]:
        return function(*entries)

    if keras.backend.backend() != "tensorflow":
        return ops.map(of_entries, tuple(sequences))
    import tensorflow as tf

    return tf.map_fn(
        of_entries,
        tuple(sequences),
        fn_output_signature=tuple(dtypes),
        parallel_iterations=1,
    )
