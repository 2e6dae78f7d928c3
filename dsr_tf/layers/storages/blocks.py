"""`storage="blocks"`: active blocks of a matrix, dense inside.

Each block of outputs has as many slots. Computation is one batched product
(`dsr_tf.core.block_product`), so time and memory go with the slots.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from dsr_tf.core.block_product import multiply
from dsr_tf.core.grouping import Grouping
from dsr_tf.core.room import ranks
from dsr_tf.core.stripes import largest_blocks
from dsr_tf.layers.candidates import shape_of
from dsr_tf.layers.storages.devices import computes_on_gpu
from dsr_tf.layers.storages.devices import read
from dsr_tf.layers.storages.stored_variable import StoredVariable


class BlockVariable(StoredVariable):
    """A matrix `(in, out)` of which active blocks are stored.

    Attributes:
        kernel: `(output_blocks, slots * h, w)`.
        where: `index`, int32 `(output_blocks, slots)`, the block of inputs
            of each slot; and `active`, booleans of that shape.
    """

    storage = "blocks"
    slack = 1.25

    @classmethod
    def check_grouping(cls, grouping: Grouping) -> None:
        if grouping.matrix is None or grouping.group_size == 1:
            raise ValueError(
                "`storage` 'blocks' is for matrices in blocks, such as those "
                "of granularity 'block:32'. Received: kernel of shape "
                f"{grouping.kernel_shape} in groups of {grouping.block_shape}"
            )

    @classmethod
    def kernel_shape(cls, grouping: Grouping) -> tuple[int, ...]:
        matrix, room = grouping.matrix, grouping.room
        assert matrix is not None and room is not None
        height, width = matrix.block_shape
        return (room.num_bins, room.num_slots * height, width)

    @classmethod
    def slots_of(cls, grouping: Grouping, places: np.ndarray) -> np.ndarray:
        assert grouping.room is not None
        columns = grouping.room.bins(places)
        return columns * grouping.room.num_slots + ranks(columns)

    @classmethod
    def arrange_places(
        cls, grouping: Grouping, places: np.ndarray
    ) -> dict[str, np.ndarray]:
        assert grouping.room is not None
        shape = (grouping.room.num_bins, grouping.room.num_slots)
        slots = cls.slots_of(grouping, places)
        index = np.zeros(shape, "int32")
        index.reshape(-1)[slots] = places // grouping.room.num_bins
        active = np.zeros(shape, "bool")
        active.reshape(-1)[slots] = True
        return {"index": index, "active": active}

    @classmethod
    def pays(
        cls,
        grouping: Grouping,
        num_active_groups: int,
        dtype: str,
        has_many_rows: bool,
    ) -> bool:
        matrix = grouping.matrix
        if matrix is None:
            return False
        density = num_active_groups / grouping.num_groups
        side = min(matrix.block_shape)
        if not computes_on_gpu() and has_many_rows:
            # What pays less is to gather them, once for each active block.
            is_wide = min(matrix.kernel_shape) >= 256
            return is_wide and side >= 16 and density <= min(0.3, side / 160)
        if not computes_on_gpu():
            return side >= 16 and density < 0.4
        # There dense products are so fast that small blocks lose.
        if side < 64 or min(matrix.kernel_shape) < 2048:
            return False
        if side < 128 and dtype != "float32":
            return False
        # Whole blocks may be a little more than the density asked for.
        return density <= 1.1 * (0.1 if side >= 128 else 0.03)

    @classmethod
    def suits_jit(cls) -> bool:
        # On processors TensorFlow's own batched products are faster.
        on_cpu = not computes_on_gpu()
        return not (on_cpu and keras.backend.backend() == "tensorflow")

    def places(self) -> np.ndarray:
        index, active = map(ops.convert_to_numpy, self.where)
        columns = np.broadcast_to(np.arange(len(index))[:, None], index.shape)
        return np.sort((index.astype("int64") * len(index) + columns)[active])

    def multiply(self, rows: Any) -> Any:
        index, active, kernel = map(read, (*self.where, self.kernel))
        return multiply(rows, kernel, index, active, computes_on_gpu())

    def largest_free(self, inputs: Any, upstream: Any) -> tuple[Any, Any]:
        index, active = map(read, self.where)
        _, number = shape_of(self.grouping)
        matrix = self.grouping.matrix
        assert matrix is not None
        return largest_blocks(
            inputs, upstream, index, active, matrix, number, self.key_of_lots()
        )
