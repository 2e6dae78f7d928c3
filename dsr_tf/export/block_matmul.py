"""Kernels in blocks that a SavedModel multiplies by block by block.

Layers of `storage="blocks"` are served as they are trained, see
`dsr_tf.core.block_product`: no zeros of inactive blocks are multiplied by,
nor in memory.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from dsr_tf.core import block_product
from dsr_tf.export import layout
from dsr_tf.export import packing
from dsr_tf.export import resource
from dsr_tf.layers import MaskedWeight


class BlockKernel:
    """A kernel as a resource of its blocks that are not zeros.

    Args:
        weight: A `MaskedWeight` of a kernel that is a matrix of blocks.
        kernel: Its values, an array with zeros where it is inactive.
        narrow: Name of the dtype that the values are rounded to.
    """

    title = "product of blocks"
    note = "faster on a CPU"

    def __init__(
        self, weight: MaskedWeight, kernel: np.ndarray, narrow: str
    ) -> None:
        matrix = weight.grouping.matrix
        assert matrix is not None
        (num_inputs, num_outputs), (height, width) = (
            matrix.kernel_shape,
            matrix.block_shape,
        )
        blocks = layout.rounded(weight.path, kernel, narrow).reshape(
            num_inputs // height, height, num_outputs // width, width
        )
        blocks = blocks.transpose(2, 0, 1, 3)
        used = blocks.any(axis=(2, 3))
        # As many slots as the block of outputs with the most needs. Those
        # of others read blocks of zeros, which are stored for nothing.
        num_slots = max(1, used.sum(axis=1).max())
        index = np.argsort(~used, axis=1, kind="stable")[:, :num_slots]
        stored = np.take_along_axis(blocks, index[:, :, None, None], axis=1)
        self._shape = (len(blocks), num_slots * height, width)
        self._num_inputs = num_inputs
        self._index = index.astype("int32")
        self._packed = packed = packing.pack(
            stored.reshape(-1), narrow, stored.size
        )
        self.resources = [
            resource.Unpacked(
                resource.string_variables(packed), self._unpack, self._shape
            )
        ]

    def _unpack(self, gaps: Any, high: Any, low: Any) -> Any:
        return packing.unpack(gaps, high, low, self._packed)

    def multiply(self, inputs: Any) -> Any:
        """`inputs @ kernel`, for inputs of shape `(..., num_inputs)`."""
        (kernel,) = (resource.read() for resource in self.resources)
        rows = tf.reshape(inputs, [-1, self._num_inputs])
        outputs = block_product.product(
            rows, tf.cast(kernel, rows.dtype), tf.constant(self._index)
        )
        num_units = self._shape[0] * self._shape[2]
        shape = tf.concat([tf.shape(inputs)[:-1], [num_units]], axis=0)
        outputs = tf.reshape(outputs, shape)
        return tf.ensure_shape(outputs, [*inputs.shape[:-1], num_units])
