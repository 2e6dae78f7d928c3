"""What acts on each number by itself, or on each channel by itself."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from dsr_tf.structure.graph.call import Call
from dsr_tf.structure.graph.call import CannotFollow
from dsr_tf.structure.graph.call import Channels
from dsr_tf.structure.graph.labels import FIXED
from dsr_tf.structure.rules.registry import register
from dsr_tf.structure.rules.registry import rule_of

# Of an activation that is not elementwise.
MIXES = "its activation mixes channels"

_LAYERS = (
    keras.layers.ActivityRegularization,
    keras.layers.ELU,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
)
_OPERATIONS = (
    "Abs Absolute Cast Celu Cos Elu Erf Exp Gelu HardShrink HardSigmoid "
    "HardSilu HardTanh Identity LeakyRelu Log Log1p LogSigmoid Negative Relu "
    "Relu6 Round Rsqrt Selu Sigmoid Sign Silu Sin SoftShrink Softplus "
    "Softsign SparsePlus SparseSigmoid Sqrt Square Squareplus StopGradient "
    "Tanh TanhShrink Threshold"
).split()
# Keras' functions of one number: those of these operations, and some more.
_FUNCTIONS = {"exponential", "linear", "mish"} | {
    name.lower() for name in _OPERATIONS
}


@register(*_LAYERS, *_OPERATIONS)
def elementwise(call: Call) -> list[Channels]:
    """Channels stay as they are.

    It serves for every layer that takes one tensor and treats channels
    apart, with no weights for them.
    """
    channels = call.only_input()
    return [channels for _ in call.outputs]


@register(keras.layers.AlphaDropout, keras.layers.Dropout)
def dropout(call: Call) -> list[Channels]:
    channels = call.only_input()
    for axis in range(-call.rank, 0) if call.layer.noise_shape else ():
        length = call.layer.noise_shape[axis] or 1
        if axis == channels.axis and length > 1:
            call.resizes_at(("noise_shape", axis), channels.labels)
        elif length > 1:
            call.resizes_at(("noise_shape", axis), np.full(length, FIXED))
    return [channels]


@register("Clip")
def clip(call: Call) -> list[Channels]:
    bounds = call.layer.x_min, call.layer.x_max
    refuse_constants(bounds, call.only_input().axis)
    return elementwise(call)


@register(keras.layers.Activation)
def activation(call: Call) -> list[Channels]:
    if not is_elementwise(call.layer.activation):
        raise CannotFollow("it mixes channels")
    return elementwise(call)


@register(keras.layers.Rescaling)
def rescaling(call: Call) -> list[Channels]:
    if not all(
        isinstance(x, (int, float))
        for x in (call.layer.scale, call.layer.offset)
    ):
        raise CannotFollow("it has a number for each channel")
    return elementwise(call)


@register(keras.layers.PReLU)
def prelu(call: Call) -> list[Channels]:
    channels = call.only_input()
    shared = call.layer.shared_axes or ()
    axis = call.rank + channels.axis
    if axis not in shared:
        call.weight("alpha", {channels.axis: ("scale", channels.labels)})
    return [channels]


def refuse_constants(values: Any, axis: int) -> None:
    """Refuse operands that are arrays with a number for each channel.

    Args:
        values: What an operation is given, nested; tensors of the graph
            among them are left out.
        axis: That of the channels, counted from the end.

    Raises:
        CannotFollow: if there is such an array.
    """
    for value in keras.tree.flatten(values):
        if isinstance(value, keras.KerasTensor) or np.ndim(value) < -axis:
            continue
        if np.shape(value)[axis] > 1:
            raise CannotFollow("it has a number for each channel")


def check_activation(call: Call, labels: Sequence[int] | np.ndarray) -> None:
    """Fix channels that an activation function mixes."""
    if not is_elementwise(getattr(call.layer, "activation", None)):
        call.fix(np.asarray(labels), MIXES)


def is_elementwise(activation: Any) -> bool:
    """Whether an activation function acts on each number by itself.

    Args:
        activation: Function or layer, as layers keep it; None is linear.
    """
    if activation is None:
        return True
    if isinstance(activation, keras.layers.Layer):
        return rule_of(activation) is elementwise
    name = getattr(activation, "__name__", "").replace("_", "")
    module = getattr(activation, "__module__", "") or ""
    return module.startswith("keras.") and name in _FUNCTIONS
