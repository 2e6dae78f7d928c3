"""`storage="lists"`: the active weights of a matrix, and their places.

Computation is by compressed rows (`dsr_tf.core.list_product`), TensorFlow's
alone, so time goes with the active weights. Memory goes with the slots, and
all of the kernel share them.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from dsr_tf.core.grouping import Grouping
from dsr_tf.core.list_product import multiply
from dsr_tf.core.stripes import largest_weights
from dsr_tf.layers.candidates import shape_of
from dsr_tf.layers.storages.devices import computes_on_gpu
from dsr_tf.layers.storages.devices import read
from dsr_tf.layers.storages.stored_variable import StoredVariable

# From so many weights on, places do not fit into 32 bits.
MANY = 2**31


class ListVariable(StoredVariable):
    """A matrix `(in, out)` of which active weights are stored.

    Attributes:
        kernel: `(slots,)`, the active weights in the order of their places,
            and zeros.
        where: `num_active`, int32 `()`, how many there are; and `index`,
            int32 `(slots,)`, their places in memory order, or `rows` and
            `columns`, where the kernel has 2**31 weights or more.
    """

    storage = "lists"
    slack = 1.25
    has_jit = False

    @classmethod
    def check_grouping(cls, grouping: Grouping) -> None:
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                "`storage` 'lists' needs products that TensorFlow has and "
                "other backends do not. Received: the backend "
                f"'{keras.backend.backend()}'"
            )
        if not _is_matrix_of_weights(grouping):
            raise ValueError(
                "`storage` 'lists' is for matrices of single weights, of "
                "granularity 'element'. Received: kernel of shape "
                f"{grouping.kernel_shape} in groups of {grouping.block_shape}"
                + (" with a pattern" if grouping.pattern is not None else "")
            )

    @classmethod
    def kernel_shape(cls, grouping: Grouping) -> tuple[int, ...]:
        assert grouping.room is not None
        return (grouping.room.num_slots,)

    @classmethod
    def slots_of(cls, grouping: Grouping, places: np.ndarray) -> np.ndarray:
        return np.arange(len(places))

    @classmethod
    def arrange_places(
        cls, grouping: Grouping, places: np.ndarray
    ) -> dict[str, np.ndarray]:
        number = {"num_active": np.array(len(places), "int32")}
        if grouping.num_groups < MANY:
            return {**number, "index": _filled_up(grouping, places)}
        rows, columns = np.divmod(places, _shape(grouping)[1])
        return {
            **number,
            "rows": _filled_up(grouping, rows),
            "columns": _filled_up(grouping, columns),
        }

    @classmethod
    def pays(
        cls,
        grouping: Grouping,
        num_active_groups: int,
        dtype: str,
        has_many_rows: bool,
    ) -> bool:
        if not _is_matrix_of_weights(grouping) or grouping.num_groups < 2**20:
            return False
        if keras.backend.backend() != "tensorflow" or computes_on_gpu():
            return False
        # Of 16 bits nothing has been measured: they are cast.
        density = num_active_groups / grouping.num_groups
        most = 0.025 if has_many_rows else 0.06
        return dtype == "float32" and density < most

    @classmethod
    def suits_jit(cls) -> bool:
        return cls.has_jit

    def places(self) -> np.ndarray:
        number, *index = map(ops.convert_to_numpy, self.where)
        found = [part[:number].astype("int64") for part in index]
        if len(found) == 1:
            return found[0]
        rows, columns = found
        return rows * _shape(self.grouping)[1] + columns

    def multiply(self, rows: Any) -> Any:
        at = self._rows_and_columns()
        num_inputs, num_outputs = _shape(self.grouping)
        # There are products of 32 and of 64 bits only.
        dtype = keras.backend.standardize_dtype(rows.dtype)
        exact = dtype if dtype == "float64" else "float32"
        outputs = multiply(
            ops.cast(rows, exact),
            ops.cast(read(self.kernel), exact),
            *at,
            (num_inputs, num_outputs),
        )
        return ops.cast(outputs, dtype)

    def _rows_and_columns(self) -> tuple[Any, Any]:
        """Where the weights in use are, as tensors."""
        number, *index = map(read, self.where)
        if len(index) == 1:
            places = index[0][:number]
            num_outputs = _shape(self.grouping)[1]
            return places // num_outputs, places % num_outputs
        rows, columns = index
        return rows[:number], columns[:number]

    def largest_free(self, inputs: Any, upstream: Any) -> tuple[Any, Any]:
        at = self._rows_and_columns()
        num_inputs, num_outputs = _shape(self.grouping)
        _, number = shape_of(self.grouping)
        return largest_weights(
            inputs,
            upstream,
            *at,
            (num_inputs, num_outputs),
            number,
            self.key_of_lots(),
        )


def _filled_up(grouping: Grouping, numbers: np.ndarray) -> np.ndarray:
    """One for each slot, int32; 0 for the empty ones."""
    assert grouping.room is not None
    array = np.zeros(grouping.room.num_slots, "int32")
    array[: len(numbers)] = numbers
    return array


def _is_matrix_of_weights(grouping: Grouping) -> bool:
    return grouping.group_size == 1 and grouping.pattern is None


def _shape(grouping: Grouping) -> tuple[int, ...]:
    assert grouping.matrix is not None  # Single weights always are.
    return grouping.matrix.kernel_shape
