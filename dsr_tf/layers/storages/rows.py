"""`storage="rows"`: of each row of a table the active weights, a few each.

All rows have the same number of slots. A lookup reads the rows of a batch
(`dsr_tf.core.row_lookup`), so time and memory go with the slots, of these.
"""

from typing import Any

import numpy as np
from keras import ops

from dsr_tf.core.grouping import Grouping
from dsr_tf.core.room import ranks
from dsr_tf.core.row_lookup import look_up
from dsr_tf.core.stripes import largest_in_rows
from dsr_tf.layers.candidates import shape_of
from dsr_tf.layers.storages.stored_variable import StoredVariable


class RowVariable(StoredVariable):
    """A table `(num_rows, size)` of which single active weights are stored.

    Weights move to columns of rows with an empty slot. Without slack these
    are the rows that have just lost some, and what rounding up the number of
    slots leaves empty: most weights move within their row, and a table gives
    part of the budget to other kernels more easily than it gets some.

    Attributes:
        kernel: `(num_rows, slots)`.
        where: `columns`, integers of that shape, in ascending order in each
            row; `size` for slots that are not in use, which come last.
    """

    storage = "rows"
    # All rows have a slot for each active weight, and none to spare: these
    # would cost as much as weights.
    slack = 1.0
    by_rows = True

    @classmethod
    def check_grouping(cls, grouping: Grouping) -> None:
        shape, has_pattern = grouping.kernel_shape, grouping.pattern is not None
        if len(shape) != 2 or grouping.group_size > 1 or has_pattern:
            raise ValueError(
                "`storage` 'rows' is for tables of single weights, those of "
                f"granularity 'element'. Received: table of shape {shape} in "
                f"groups of {grouping.block_shape}"
                + (" with a pattern N:M" if has_pattern else "")
            )

    @classmethod
    def pays(
        cls,
        grouping: Grouping,
        num_active_groups: int,
        dtype: str,
        has_many_rows: bool,
    ) -> bool:
        is_table = len(grouping.kernel_shape) == 2 and grouping.group_size == 1
        return is_table and num_active_groups < grouping.num_groups / 2

    @classmethod
    def kernel_shape(cls, grouping: Grouping) -> tuple[int, ...]:
        assert grouping.room is not None
        return (grouping.kernel_shape[0], grouping.room.num_slots)

    @classmethod
    def slots_of(cls, grouping: Grouping, places: np.ndarray) -> np.ndarray:
        assert grouping.room is not None
        rows = places // grouping.kernel_shape[1]
        return rows * grouping.room.num_slots + ranks(rows)

    @classmethod
    def arrange_places(
        cls, grouping: Grouping, places: np.ndarray
    ) -> dict[str, np.ndarray]:
        size = grouping.kernel_shape[1]
        shape = cls.kernel_shape(grouping)
        columns = np.full(shape, size, _smallest_type(size))
        slots = cls.slots_of(grouping, places)
        columns.reshape(-1)[slots] = places % size
        return {"columns": columns}

    def places(self) -> np.ndarray:
        columns = ops.convert_to_numpy(self.where[0])
        size = self.grouping.kernel_shape[1]
        rows, slots = np.nonzero(columns < size)
        return rows * size + columns[rows, slots]

    def masked_rows(self, weights: Any, indices: Any) -> Any:
        """Rows of what `masked` gives, see `MaskedVariable.masked_rows`."""
        size = self.grouping.kernel_shape[1]
        indices = ops.convert_to_tensor(indices)
        flat = ops.reshape(indices, (-1,))
        rows = look_up(weights, self.where[0], flat, size)
        return ops.reshape(self.watch(flat, rows), (*ops.shape(indices), size))

    def largest_free(self, inputs: Any, upstream: Any) -> tuple[Any, Any]:
        _, number = shape_of(self.grouping)
        return largest_in_rows(
            inputs,
            upstream,
            ops.convert_to_tensor(self.where[0]),
            self.grouping.kernel_shape[1],
            number,
            self.key_of_lots(),
        )


def _smallest_type(largest: int) -> str:
    """The smallest of the types that all backends have for such integers."""
    fits = (t for t in ("uint8", "int16") if largest <= np.iinfo(t).max)
    return next(fits, "int32")
