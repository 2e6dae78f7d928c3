"""Gradients of weights that are not stored, the largest or some drawn.

The gradient of a product by its matrix, `inputs.T @ upstream`, has a number
for each weight. Here a stripe of it at a time is computed, and of that the
places in each bin (see `Room`) that are not active and have the largest
magnitudes are kept, ties going to the first of the bin. So no tensor is of
the size of the matrix.

All of these give two tensors `(num_bins, num_kept)`, the largest first:
float32 scores, mean magnitudes of the gradient of a group, and the number of
the group in its bin. The score is -1 where a bin has fewer that are not
active, and infinite where a gradient is not finite. Products are of float32,
whatever inputs are.

With a `key`, a tensor of 32 random bits, they are drawn instead: at random
those whose gradient is not 0, of a score above 0 that says no more, and where
a bin has fewer any others, of a score of 0.
"""

from typing import Any

from keras import ops

from dsr_tf.core.grouping import Grouping
from dsr_tf.core.hashing import hash_of
from dsr_tf.core.hashing import uniform
from dsr_tf.core.sequence import each

# Numbers of the gradient that there are at a time, or the fewest that are a
# bin's.
STRIPE = 2**18
_DTYPES = ("float32", "int32")


def largest_blocks(
    inputs: Any,
    upstream: Any,
    index: Any,
    active: Any,
    grouping: Grouping,
    num_kept: int,
    key: Any = None,
) -> tuple[Any, Any]:
    """Of each block of outputs the blocks of inputs.

    Args:
        inputs: Tensor `(batch, in)`.
        upstream: Tensor `(batch, out)`, the gradient by outputs.
        index, active: As of `dsr_tf.core.block_product.multiply`.
        grouping: The blocks of the matrix.
        num_kept: How many of each bin, at most all that there are.
        key: See above.

    Returns:
        Scores and numbers, see above.
    """
    num_inputs, num_outputs = grouping.kernel_shape
    num_rows, num_bins = grouping.mask_shape
    width = grouping.block_shape[1]
    num_wide = _num_at_a_time(num_bins, num_inputs * width)
    stripe = Grouping((num_inputs, num_wide * width), grouping.block_shape)
    columns = ops.transpose(ops.cast(inputs, "float32"))

    def of_stripe(start: Any, upstream: Any, taken: Any) -> tuple[Any, Any]:
        scores = stripe.scores_of(ops.matmul(columns, upstream))
        scores = ops.transpose(ops.reshape(scores, (num_rows, num_wide)))
        return _largest(
            scores, _is_taken(taken, num_rows), num_kept, start, key
        )

    taken = ops.where(active, ops.cast(index, "int32"), num_rows)
    taken = _in_stripes(taken, num_wide, num_rows)
    missing = -num_bins % num_wide
    upstream = ops.pad(
        ops.cast(upstream, "float32"), ((0, 0), (0, missing * width))
    )
    upstream = ops.reshape(upstream, (-1, taken.shape[0], num_wide * width))
    upstream = ops.transpose(upstream, (1, 0, 2))
    starts = ops.arange(taken.shape[0], dtype="int32") * num_wide
    found = each(of_stripe, (starts, upstream, taken), _DTYPES)
    return _joined(found, num_bins)


def largest_in_rows(
    indices: Any,
    upstream: Any,
    columns: Any,
    size: int,
    num_kept: int,
    key: Any = None,
) -> tuple[Any, Any]:
    """Of each row of a table the columns.

    Args:
        indices: Integer tensor `(batch,)`, the rows that were looked up.
        upstream: Tensor `(batch, size)`, the gradient by what was found.
        columns, size: As of `dsr_tf.core.row_lookup.look_up`.
        num_kept: How many of each row, at most all that there are.
        key: See above.

    Returns:
        Scores and numbers, see above.
    """
    num_rows = columns.shape[0]
    num_tall = _num_at_a_time(num_rows, size)
    upstream = ops.cast(upstream, "float32")
    indices = ops.cast(indices, "int32")
    # Those below 0 count from the end, as `take` has them.
    indices = ops.where(indices < 0, indices + num_rows, indices)

    def of_stripe(start: Any, taken: Any) -> tuple[Any, Any]:
        rows = indices - start
        is_inside = ops.logical_and(rows >= 0, rows < num_tall)
        gradient = ops.segment_sum(
            upstream,
            ops.where(is_inside, rows, num_tall),
            num_segments=num_tall + 1,
        )
        scores = ops.abs(gradient[:num_tall])
        return _largest(scores, _is_taken(taken, size), num_kept, start, key)

    taken = _in_stripes(ops.cast(columns, "int32"), num_tall, size)
    starts = ops.arange(taken.shape[0], dtype="int32") * num_tall
    return _joined(each(of_stripe, (starts, taken), _DTYPES), num_rows)


def largest_weights(
    inputs: Any,
    upstream: Any,
    rows: Any,
    columns: Any,
    shape: tuple[int, int],
    num_kept: int,
    key: Any = None,
) -> tuple[Any, Any]:
    """Of a whole matrix, one bin, the weights. By TensorFlow alone.

    Args:
        inputs: Tensor `(batch, in)`.
        upstream: Tensor `(batch, out)`, the gradient by outputs.
        rows, columns: As of `dsr_tf.core.list_product.multiply`.
        shape: `in` and `out`.
        num_kept: How many, at most all that there are.
        key: See above.

    Returns:
        Scores and numbers, see above; numbers are int64.
    """
    import tensorflow as tf

    num_inputs, num_outputs = shape
    # Longer stripes, for each is merged into what is kept.
    num_tall = max(4 * STRIPE, num_kept) // num_outputs
    num_tall = min(num_inputs, max(1, num_tall))
    inputs = tf.transpose(tf.cast(inputs, "float32"))
    upstream = tf.cast(upstream, "float32")
    rows, columns = tf.cast(rows, "int32"), tf.cast(columns, "int32")

    def body(start: Any, scores: Any, numbers: Any) -> tuple[Any, Any, Any]:
        end = tf.minimum(start + num_tall, num_inputs)
        found = tf.abs(tf.matmul(inputs[start:end], upstream))
        before = tf.cast(start, "int64") * num_outputs
        if key is not None:
            places = before + tf.range(tf.size(found, tf.int64))
            found = _drawn(found, tf.reshape(places, tf.shape(found)), key)
        found = tf.where(tf.math.is_finite(found), found, float("inf"))
        first, last = tf.unstack(tf.searchsorted(rows, [start, end]))
        taken = tf.stack(
            [rows[first:last] - start, columns[first:last]], axis=1
        )
        none = tf.fill([last - first], -1.0)
        found = tf.reshape(
            tf.tensor_scatter_nd_update(found, taken, none), [-1]
        )
        # Where two are equal, the first stays.
        better = tf.where(found > scores[-1])[:, 0]
        scores, order = tf.math.top_k(
            tf.concat([scores, tf.gather(found, better)], axis=0), num_kept
        )
        numbers = tf.gather(tf.concat([numbers, before + better], 0), order)
        return end, scores, numbers

    # One at a time, or several stripes would be there at once.
    _, scores, numbers = tf.while_loop(
        lambda start, *_: start < num_inputs,
        body,
        (0, tf.fill([num_kept], -1.0), tf.zeros([num_kept], "int64")),
        parallel_iterations=1,
    )
    if key is not None:
        scores = _without_lots(scores)
    return scores[None], numbers[None]


def _num_at_a_time(number: int, size: int) -> int:
    """How many bins of so many numbers each are a stripe."""
    return min(number, max(1, STRIPE // size))


def _in_stripes(places: Any, num_at_a_time: int, none: int) -> Any:
    """Places `(num_bins, n)` as `(num_stripes, num_at_a_time, n)`."""
    num_bins, length = places.shape
    missing = -num_bins % num_at_a_time
    places = ops.pad(places, ((0, missing), (0, 0)), constant_values=none)
    return ops.reshape(places, (-1, num_at_a_time, length))


def _joined(found: Any, num_bins: int) -> tuple[Any, Any]:
    scores, numbers = (
        ops.reshape(tensor, (-1, tensor.shape[-1]))[:num_bins]
        for tensor in found
    )
    return scores, numbers


def _is_taken(places: Any, size: int) -> Any:
    """Which of `size` numbers are among the places of each bin.

    Args:
        places: Integer tensor `(num_bins, n)`, numbers up to `size`, which
            stands for none.

    Returns:
        Boolean tensor `(num_bins, size)`.
    """
    num_bins = places.shape[0]
    starts = ops.arange(num_bins, dtype="int32") * (size + 1)
    flat = ops.expand_dims(starts, 1) + ops.cast(places, "int32")
    flat = ops.reshape(flat, (-1,))
    counts = ops.segment_sum(
        ops.ones_like(flat), flat, num_segments=num_bins * (size + 1)
    )
    return ops.reshape(counts, (num_bins, size + 1))[:, :size] > 0


def _largest(
    scores: Any, is_taken: Any, num_kept: int, start: Any, key: Any
) -> tuple[Any, Any]:
    """The largest of each bin that are not taken.

    Args:
        scores, is_taken: Tensors `(num_bins, size)`, those of a stripe.
        num_kept: How many.
        start: Integer tensor, which bin of the matrix is its first.
        key: See above.
    """
    if key is not None:
        num_bins, size = scores.shape
        places = start * size + ops.arange(num_bins * size, dtype="int32")
        scores = _drawn(scores, ops.reshape(places, scores.shape), key)
    scores = ops.where(ops.isfinite(scores), scores, float("inf"))
    scores = ops.where(is_taken, -1.0, scores)
    found, numbers = ops.top_k(scores, num_kept)
    if key is not None:
        found = _without_lots(found)
    return found, ops.cast(numbers, "int32")


def _drawn(scores: Any, places: Any, key: Any) -> Any:
    """A lot for each place in the matrix, where scores are finite: above 1
    where the score is not 0, below 1 where it is."""
    lots = 0.5 * uniform(hash_of(places, key))
    drawn = ops.where(scores > 0, 1 + lots, lots)
    return ops.where(ops.isfinite(scores), drawn, scores)


def _without_lots(drawn: Any) -> Any:
    """Scores of 0 again where they were."""
    return ops.where(drawn < 1, ops.minimum(drawn, 0), drawn)
