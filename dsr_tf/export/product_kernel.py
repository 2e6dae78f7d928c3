"""What kernels have in common that a SavedModel multiplies by as they are."""

import abc
from typing import Any
from typing import ClassVar

import numpy as np
import tensorflow as tf

from dsr_tf.core.grouping import Grouping
from dsr_tf.export import layout
from dsr_tf.export.resource import Unpacked
from dsr_tf.layers import MaskedWeight


class ProductKernel(abc.ABC):
    """Base of these kernels.

    Args:
        weight: A `MaskedWeight` of a kernel that is a matrix.
        kernel: Its values, an array with zeros where it is inactive.
        narrow: Name of the dtype that the values are rounded to.

    Attributes:
        title: What the product is called.
        note: When it pays.
        resources: What is unpacked when the file is loaded.
    """

    title: ClassVar[str]
    note: ClassVar[str]

    def __init__(
        self, weight: MaskedWeight, kernel: np.ndarray, narrow: str
    ) -> None:
        matrix = weight.grouping.matrix
        assert matrix is not None
        self._num_inputs, self._num_units = matrix.kernel_shape
        values = layout.rounded(weight.path, kernel, narrow)
        values = values.reshape(matrix.kernel_shape)
        self.resources = self._packed_in(values, matrix, narrow)

    @abc.abstractmethod
    def _packed_in(
        self, values: np.ndarray, matrix: Grouping, narrow: str
    ) -> list[Unpacked]:
        """The resources that hold the kernel.

        Args:
            values: Array `(num_inputs, num_units)`.
            matrix: Its blocks.
            narrow: As given.
        """

    def multiply(self, inputs: Any) -> Any:
        """`inputs @ kernel`, for inputs of shape `(..., num_inputs)`."""
        rows = tf.reshape(inputs, [-1, self._num_inputs])
        outputs = self._product(rows, *(own.read() for own in self.resources))
        shape = tf.concat([tf.shape(inputs)[:-1], [self._num_units]], axis=0)
        outputs = tf.cast(tf.reshape(outputs, shape), inputs.dtype)
        return tf.ensure_shape(outputs, [*inputs.shape[:-1], self._num_units])

    @abc.abstractmethod
    def _product(self, rows: Any, *parts: Any) -> Any:
        """The product of `(batch, num_inputs)`, of any float dtype.

        Args:
            rows: Tensor.
            *parts: What the resources hold.
        """
