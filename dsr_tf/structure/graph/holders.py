"""Which weights can hold a factor that something is multiplied by."""

from typing import Any

import keras
import numpy as np
from keras import ops

from dsr_tf.conversion.state import own_variables
from dsr_tf.layers import Clustered
from dsr_tf.layers import Hashed
from dsr_tf.layers import Scale
from dsr_tf.structure.graph.following import Following
from dsr_tf.structure.rules.registry import kind_of

# For kinds of layers, the axes of weights along which outputs lie.
_WEIGHTS: dict[Any, dict[str, int]] = {
    **dict.fromkeys(
        (
            keras.layers.Conv1D,
            keras.layers.Conv2D,
            keras.layers.Conv3D,
            keras.layers.Dense,
        ),
        {"kernel": -1, "bias": -1},
    ),
    **dict.fromkeys(
        (
            keras.layers.Conv1DTranspose,
            keras.layers.Conv2DTranspose,
            keras.layers.Conv3DTranspose,
        ),
        {"kernel": -2, "bias": -1},
    ),
    **dict.fromkeys(
        (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D),
        {"pointwise_kernel": -1, "bias": -1},
    ),
    keras.layers.BatchNormalization: {"gamma": -1, "beta": -1},
}
# Where a factor before it is a factor behind it; if it is not negative.
_LINEAR = (
    keras.layers.Dropout,
    keras.layers.Identity,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
    Scale,
)
_POSITIVE = (keras.layers.LeakyReLU, "LeakyRelu", "Relu")


class CannotHold(Exception):
    """Nothing can hold a factor; the message is a few words why."""


def holder_of(
    following: Following, tensor: Any, is_negative: bool = False
) -> keras.layers.Layer:
    """The layer whose weights can hold a factor of a tensor.

    Args:
        following: The `Following` of the model.
        tensor: One of its graph.
        is_negative: Whether the factor, or one of those for channels, is
            below 0.

    Raises:
        CannotHold: if there is none.
    """
    while True:
        if len(following.readers_of(tensor)) > 1:
            raise CannotHold("others read what is to be scaled")
        node = following.maker_of(tensor)
        if node is None:
            raise CannotHold("it is not a layer that makes it")
        operation = node.operation
        only_output(following, operation)
        if _weights_of(operation):
            _check_activation(operation, is_negative)
            return operation
        if not _lets_through(operation, is_negative):
            kind = type(operation).__name__
            raise CannotHold(f"'{operation.name}' ({kind}) holds no factor")
        (tensor,) = node.input_tensors


def only_output(following: Following, operation: Any) -> Any:
    """The only tensor that an operation of a model makes.

    Raises:
        CannotHold: if there are several, or it is inside of a layer.
    """
    output = following.output_of(operation)
    if output is None:
        raise CannotHold(f"'{operation.name}' does not put out one tensor")
    return output


def multiply(layer: Any, factors: np.ndarray) -> None:
    """Multiply what a holder puts out, by its weights.

    Args:
        layer: A layer that `holder_of` has found, or a copy of it.
        factors: One for each channel, or `(1,)`.
    """
    for variable, axis in _weights_of(layer):
        values = ops.convert_to_numpy(variable)
        along = [1] * values.ndim
        along[axis] = len(factors)
        variable.assign(values * factors.reshape(along).astype(values.dtype))


def _weights_of(layer: Any) -> list[tuple[Any, int]]:
    """The weights that can hold factors, and the axis of each."""
    axes = dict(_WEIGHTS.get(kind_of(layer), {}))
    is_special = (
        isinstance(layer, (Clustered, Hashed))
        or getattr(layer, "lora_enabled", False)
        or getattr(layer, "quantization_mode", None)
    )
    if not axes or is_special:
        return []
    found = {v.name: v for v in own_variables(layer) if v.name in axes}
    if "beta" in found and "gamma" not in found:
        return []
    return [(variable, axes[name]) for name, variable in found.items()]


def _check_activation(layer: Any, is_negative: bool) -> None:
    activation = getattr(layer, "activation", None)
    if not _function_lets_through(activation, is_negative):
        raise CannotHold(f"the activation of '{layer.name}' is not ReLU")


def _function_lets_through(function: Any, is_negative: bool) -> bool:
    if function in (None, keras.activations.linear):
        return True
    return function is keras.activations.relu and not is_negative


def _lets_through(operation: Any, is_negative: bool) -> bool:
    kind: Any = type(operation)
    if not isinstance(operation, keras.layers.Layer):
        kind = kind.__name__
    if kind is keras.layers.Activation:
        return _function_lets_through(operation.activation, is_negative)
    if kind is keras.layers.ReLU:
        is_plain = operation.max_value is None and not operation.threshold
        return is_plain and not is_negative
    return kind in _LINEAR or (kind in _POSITIVE and not is_negative)
