"""What products depend on: where they are computed, and plain tensors."""

import functools
from typing import Any

import keras
from keras import ops


@functools.cache
def computes_on_gpu() -> bool:
    """Whether the backend has a GPU, or another accelerator, to compute on."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    if keras.backend.backend() == "jax":
        import jax

        return jax.default_backend() != "cpu"
    return False


def read(variable: keras.Variable) -> Any:
    """The value of a variable, as a tensor.

    (TensorFlow gives the variable itself, which functions with a gradient of
    their own may not see.)
    """
    return ops.reshape(ops.convert_to_tensor(variable), variable.shape)
