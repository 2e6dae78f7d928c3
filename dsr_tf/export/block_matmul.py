"""Kernels in blocks that a SavedModel multiplies by block by block.

Layers of `storage="blocks"` are served as they are trained, see
`dsr_tf.core.block_product`: no zeros of inactive blocks are multiplied by,
nor in memory.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from dsr_tf.core import block_product
from dsr_tf.core.grouping import Grouping
from dsr_tf.export import packing
from dsr_tf.export import resource
from dsr_tf.export.product_kernel import ProductKernel


class BlockKernel(ProductKernel):
    """A kernel as a resource of its blocks that are not zeros."""

    title = "product of blocks"
    note = "faster on a CPU"

    def _packed_in(
        self, values: np.ndarray, matrix: Grouping, narrow: str
    ) -> list[resource.Unpacked]:
        height, width = matrix.block_shape
        blocks = values.reshape(
            self._num_inputs // height, height, self._num_units // width, width
        )
        blocks = blocks.transpose(2, 0, 1, 3)
        used = blocks.any(axis=(2, 3))
        # As many slots as the block of outputs with the most needs. Those
        # of others read blocks of zeros, which are stored for nothing.
        num_slots = max(1, used.sum(axis=1).max())
        index = np.argsort(~used, axis=1, kind="stable")[:, :num_slots]
        stored = np.take_along_axis(blocks, index[:, :, None, None], axis=1)
        shape = (len(blocks), num_slots * height, width)
        self._index = index.astype("int32")
        self._packed = packed = packing.pack(
            stored.reshape(-1), narrow, stored.size
        )
        variables = resource.string_variables(packed)
        return [resource.Unpacked(variables, self._unpack, shape)]

    def _unpack(self, gaps: Any, high: Any, low: Any) -> Any:
        return packing.unpack(gaps, high, low, self._packed)

    def _product(self, rows: Any, *parts: Any) -> Any:
        (kernel,) = parts
        return block_product.product(
            rows, tf.cast(kernel, rows.dtype), tf.constant(self._index)
        )
