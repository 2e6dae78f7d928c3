"""Products with a matrix of which single weights are stored, the others zeros.

By TensorFlow's products of compressed rows, which XLA and other backends do
not have. Time goes with the weights in use: room beyond these is cut off
first, and its gradient is 0.
"""

from collections.abc import Callable
from typing import Any

# So many weights at once have their gradients computed: what is gathered for
# them stays in a CPU's cache, and memory does not go with their number.
CHUNK = 4096


def multiply(
    inputs: Any,
    values: Any,
    rows: Any,
    columns: Any,
    shape: tuple[int, int],
) -> Any:
    """The product of inputs and the matrix.

    Args:
        inputs: Tensor `(batch, in)`, float32 or float64.
        values: Tensor `(slots,)` of that type: weights, those in use first.
        rows, columns: int32 tensors `(num_active,)`, where the weights in use
            are, ordered by rows and then by columns.
        shape: `in` and `out`.

    Returns:
        Tensor `(batch, out)`.
    """
    import tensorflow as tf

    @tf.custom_gradient
    def product(inputs: Any, values: Any) -> tuple[Any, Callable[..., Any]]:
        # Examples last, as all of these products have them. The matrix is
        # transposed before: of a product that transposes it, threads add
        # parts up in any order, and no two results are equal to the bit.
        matrix = tf.raw_ops.SparseMatrixTranspose(
            input=_matrix(values, rows, columns, shape), type=inputs.dtype
        )
        outputs = _times(matrix, inputs)
        outputs = tf.ensure_shape(outputs, (None, shape[1]))

        def gradient(upstream: Any) -> tuple[Any, Any]:
            # Made again, for a matrix of this kind cannot be exported where
            # a function gets it from another.
            matrix = _matrix(values, rows, columns, shape)
            d_inputs = _times(matrix, upstream)
            d_inputs = tf.ensure_shape(d_inputs, (None, shape[0]))
            d_values = _products_of_rows(
                tf.transpose(inputs),
                tf.transpose(upstream),
                rows,
                columns,
                values.shape[0],
            )
            num_empty = values.shape[0] - tf.size(rows)
            d_values = tf.pad(d_values, [[0, num_empty]])
            return d_inputs, tf.ensure_shape(d_values, values.shape)

        return outputs, gradient

    return product(inputs, values)


def _times(matrix: Any, rows: Any) -> Any:
    """The product of the matrix and each row: `(batch, n)` to `(batch, m)`."""
    import tensorflow as tf

    # oneDNN has no product of no examples, such as a replica may get.
    batch = tf.shape(rows)[0]
    rows = tf.cond(
        batch > 0,
        lambda: rows,
        lambda: tf.zeros((1, rows.shape[1]), rows.dtype),
    )
    outputs = tf.raw_ops.SparseMatrixMatMul(a=matrix, b=tf.transpose(rows))
    return tf.transpose(outputs)[:batch]


def _matrix(
    values: Any, rows: Any, columns: Any, shape: tuple[int, int]
) -> Any:
    import tensorflow as tf

    return tf.raw_ops.SparseTensorToCSRSparseMatrix(
        indices=tf.cast(tf.stack([rows, columns], axis=1), "int64"),
        values=values[: tf.size(rows)],
        dense_shape=tf.constant(shape, "int64"),
    )


def _products_of_rows(
    first: Any, second: Any, rows: Any, columns: Any, at_most: int
) -> Any:
    """`sum(first[rows] * second[columns], axis=1)`, some at a time."""
    import tensorflow as tf

    def part(rows: Any, columns: Any) -> Any:
        gathered = tf.gather(first, rows) * tf.gather(second, columns)
        return tf.reduce_sum(gathered, axis=1)

    if at_most <= CHUNK:
        return part(rows, columns)

    def body(i: Any, parts: Any) -> tuple[Any, Any]:
        of_chunk = slice(i * CHUNK, (i + 1) * CHUNK)
        return i + 1, parts.write(i, part(rows[of_chunk], columns[of_chunk]))

    num_chunks = (tf.size(rows) + CHUNK - 1) // CHUNK
    parts = tf.TensorArray(
        first.dtype, num_chunks, infer_shape=False, element_shape=(None,)
    )
    _, parts = tf.while_loop(
        lambda i, _: i < num_chunks, body, (0, parts), parallel_iterations=1
    )
    return parts.concat()
