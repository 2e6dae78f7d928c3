"""Tensors that a SavedModel unpacks once, when it is loaded.

A variable would be stored as it is. But every loader of SavedModels, once
it has restored variables, runs functions that set up resources. So the
tensor is a variable that is stored empty, and one of these functions fills it.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dsr_tf.export.packing import Packed


class Unpacked(tf.saved_model.experimental.TrackableResource):
    """A tensor that packed variables are unpacked to.

    Args:
        packed: Dict of string variables by name.
        unpack: Function of those variables that gives the tensor.
        shape: Shape of the tensor.
        dtype: Its dtype.

    Attributes:
        variables: Variables that the SavedModel must hold too.
    """

    def __init__(
        self,
        packed: Mapping[str, Any],
        unpack: Callable[..., Any],
        shape: Sequence[int],
        dtype: Any = tf.float32,
    ) -> None:
        super().__init__()
        self._shape, self._unpack, self._packed = shape, unpack, packed
        self._tensor = tf.Variable(
            tf.zeros([0] * len(shape), dtype),
            trainable=False,
            shape=[None] * len(shape),
            name="unpacked",
        )
        self.variables = [*packed.values(), self._tensor]

    def _create_resource(self) -> Any:
        # There is no resource beside the variable. A variable lives as long
        # as a signature that reads it; a resource would be freed together
        # with the object that was loaded.
        return tf.zeros([], tf.int32)

    def _initialize(self) -> None:
        value = self._unpack(**self._packed)
        self._tensor.assign(tf.reshape(value, self._shape))

    def read(self) -> Any:
        """The tensor, in a graph."""
        return tf.ensure_shape(self._tensor.read_value(), self._shape)


def string_variables(packed: Packed) -> dict[str, Any]:
    """The parts of a `packing.Packed` as variables, by name."""
    return variables(packed.parts)


def variables(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Bytes or arrays as variables, by name."""
    return {
        name: tf.Variable(part, trainable=False, name=name)
        for name, part in parts.items()
    }
