"""Rows of a table of which a few numbers each are stored, the others zeros.

Of each row a batch asks for, its values are added to zeros at their columns.
That takes time and memory for the numbers stored and the numbers returned; a
product with one-hot columns takes the product of both (14 times the time for
30 of 300 columns, on a CPU).
"""

from collections.abc import Callable
from typing import Any

from keras import ops


def look_up(values: Any, columns: Any, indices: Any, size: int) -> Any:
    """Rows of the table.

    The gradient by `values` is that of `take`: it touches these rows only. It
    is exactly 0 at slots that are not in use.

    Args:
        values: Tensor or variable `(num_rows, num_slots)`.
        columns: Integer tensor of that shape: the column of each value, no
            two of a row alike; `size` for slots that are not in use.
        indices: Integer tensor of any shape.
        size: Number of columns.

    Returns:
        Tensor `(*indices.shape, size)`.
    """
    shape = ops.shape(indices)
    indices = ops.reshape(indices, (-1,))
    found = _spread(
        ops.take(values, indices, axis=0),
        ops.cast(ops.take(columns, indices, axis=0), "int32"),
        size,
    )
    return ops.reshape(found, (*shape, size))


def _spread(values: Any, columns: Any, size: int) -> Any:
    """`(batch, num_slots)` to `(batch, size)`."""
    num_rows = ops.shape(values)[0]
    # One column more, for slots that are not in use.
    starts = ops.arange(num_rows, dtype="int32") * (size + 1)
    places = ops.reshape(ops.expand_dims(starts, 1) + columns, (-1,))

    @ops.custom_gradient
    def spread(values: Any) -> tuple[Any, Callable[..., Any]]:
        flat = ops.segment_sum(
            ops.reshape(values, (-1,)),
            places,
            num_segments=num_rows * (size + 1),
        )

        def gradient(*arguments: Any, upstream: Any = None) -> Any:
            if upstream is None:
                (upstream,) = arguments
            padded = ops.pad(upstream, ((0, 0), (0, 1)))
            taken = ops.take(ops.reshape(padded, (-1,)), places)
            return ops.reshape(taken, ops.shape(columns))

        return ops.reshape(flat, (-1, size + 1))[:, :size], gradient

    return spread(values)
