"""Initial weights for active groups only, without the rest of the kernel."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from dsr_tf.core.grouping import Grouping

_initializers = keras.initializers
# Each number is drawn alike, whatever the shape.
_OF_ANY_SHAPE = (
    _initializers.Constant,
    _initializers.Ones,
    _initializers.RandomNormal,
    _initializers.RandomUniform,
    _initializers.TruncatedNormal,
    _initializers.Zeros,
)
# A normal distribution cut off at two deviations has this deviation.
_DEVIATION_OF_TRUNCATED = 0.87962566103423978


def draw(
    initializer: Any, grouping: Grouping, places: np.ndarray, dtype: Any
) -> np.ndarray:
    """The initial weights of some groups of a kernel.

    Keras' initializers whose numbers are independent draw as many as are
    needed, with the deviation that the whole kernel would have; of others
    the whole kernel is drawn, and cut.

    Args:
        initializer: What `keras.initializers.get` takes.
        grouping: The `Grouping` of the kernel.
        places: Integer array of the groups.
        dtype: Of the variable.

    Returns:
        Array `(len(places), group_size)`.
    """
    initializer = keras.initializers.get(initializer)
    shape = (len(places), grouping.group_size)
    if isinstance(initializer, _initializers.VarianceScaling):
        initializer = _of_any_shape(initializer, grouping)
    if isinstance(initializer, _OF_ANY_SHAPE):
        return ops.convert_to_numpy(initializer(shape, dtype=dtype))
    whole = ops.convert_to_numpy(
        initializer(grouping.kernel_shape, dtype=dtype)
    )
    return grouping.groups(whole)[places]


def _of_any_shape(scaling: Any, grouping: Grouping) -> Any:
    """The same distribution, without the shape that scales it.

    As Keras has it: the variance is `scale` over the number of inputs, of
    outputs, or the mean of both.
    """
    shape = grouping.kernel_shape
    window = math.prod(shape[:-2])
    inputs, outputs = (n * window for n in shape[-2:])
    # Some versions of Keras say for an EinsumDense which axes these are.
    if getattr(scaling, "input_axes", None) is not None:
        inputs = math.prod(shape[axis] for axis in scaling.input_axes)
        outputs = math.prod(shape[axis] for axis in scaling.output_axes)
    number = {
        "fan_in": inputs,
        "fan_out": outputs,
        "fan_avg": (inputs + outputs) / 2,
    }[scaling.mode]
    deviation = math.sqrt(scaling.scale / max(1.0, number))
    if scaling.distribution == "uniform":
        limit = math.sqrt(3) * deviation
        return _initializers.RandomUniform(-limit, limit, seed=scaling.seed)
    if scaling.distribution == "truncated_normal":
        return _initializers.TruncatedNormal(
            0.0, deviation / _DEVIATION_OF_TRUNCATED, seed=scaling.seed
        )
    return _initializers.RandomNormal(0.0, deviation, seed=scaling.seed)


def constant(array: np.ndarray) -> Callable[..., Any]:
    """An initializer that gives an array."""
    return lambda shape, dtype=None: ops.convert_to_tensor(array)
