"""What products depend on: where they are computed, and plain tensors."""

import functools
from typing import Any

import keras
import numpy as np
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


def place_array(array: np.ndarray) -> np.ndarray:
    """An array of a type that variables have where this computes.

    TensorFlow keeps variables of int32 in the memory of processors, where
    the steps that XLA compiles for a GPU do not find them.
    """
    on_gpu = keras.backend.backend() == "tensorflow" and computes_on_gpu()
    return array.astype("int64") if on_gpu and array.dtype == "int32" else array


def read(variable: keras.Variable) -> Any:
    """The value of a variable, as a tensor.

    (TensorFlow gives the variable itself, which functions with a gradient of
    their own may not see.)
    """
    return ops.reshape(ops.convert_to_tensor(variable), variable.shape)
