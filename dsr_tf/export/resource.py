"""Tensors that a SavedModel unpacks once, when it is loaded.

A variable would be stored as it is. A resource is made and filled by a
function of built-in operations, which every loader of SavedModels runs.
"""

import uuid

import tensorflow as tf


class Unpacked(tf.saved_model.experimental.TrackableResource):
    """A tensor that packed variables are unpacked to.

    Args:
        packed: Dict of string variables by name; the SavedModel must hold
            them too.
        unpack: Function of those variables that gives the tensor.
        shape: Shape of the tensor.
        dtype: Its dtype.
    """

    def __init__(self, packed, unpack, shape, dtype=tf.float32):
        super().__init__()
        # Resources without a name of their own would all become one when
        # the model is loaded in Python.
        self._name = uuid.uuid4().hex
        self._shape, self._dtype, self._unpack = shape, dtype, unpack
        self.packed = packed

    def _create_resource(self):
        return tf.raw_ops.VarHandleOp(
            dtype=self._dtype, shape=self._shape, shared_name=self._name
        )

    def _initialize(self):
        value = tf.reshape(self._unpack(**self.packed), self._shape)
        tf.raw_ops.AssignVariableOp(resource=self.resource_handle, value=value)

    def _destroy_resource(self):
        tf.raw_ops.DestroyResourceOp(
            resource=self.resource_handle, ignore_lookup_error=True
        )

    def read(self):
        """The tensor, in a graph."""
        return tf.raw_ops.ReadVariableOp(
            resource=self.resource_handle, dtype=self._dtype
        )


def string_variables(packed):
    """The parts of a `packing.Packed` as variables, by name."""
    return {
        name: tf.Variable(part, trainable=False, name=name)
        for name, part in packed.parts.items()
    }
