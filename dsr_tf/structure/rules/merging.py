"""What makes one tensor of several: sums, products, concatenations."""

from typing import Any

import keras
import numpy as np

from dsr_tf.structure.graph.call import Call
from dsr_tf.structure.graph.call import CannotFollow
from dsr_tf.structure.graph.call import Channels
from dsr_tf.structure.rules.elementwise import refuse_constants
from dsr_tf.structure.rules.registry import register


@register(
    keras.layers.Add,
    keras.layers.Average,
    keras.layers.Subtract,
    "Add",
    "Subtract",
)
def total(call: Call) -> list[Channels]:
    return _together(call, call.add)


@register(
    keras.layers.Maximum,
    keras.layers.Minimum,
    keras.layers.Multiply,
    "Divide",
    "Maximum",
    "Minimum",
    "Multiply",
    "Power",
    "TrueDivide",
)
def product(call: Call) -> list[Channels]:
    return _together(call, call.unite)


def _together(call: Call, unite: Any) -> list[Channels]:
    """Channels of operands go together; one that broadcasts stays.

    A constant that has a number for each channel is fixed to these.
    """
    axes = {call.channels_of(x).axis for x in _many(call)}
    if len(axes) != 1:
        raise CannotFollow("channels of its operands lie along other axes")
    (axis,) = axes
    first = call.channels_of(_many(call)[0]).labels
    for tensor in call.inputs:
        channels = call.channels_of(tensor)
        if not _has_many(channels, tensor):
            call.fix(channels.labels)
            if _length(tensor, axis) > 1:
                raise CannotFollow("it repeats channels")
        else:
            unite(first, channels.labels)
    refuse_constants((call.arguments, call.keywords), axis)
    return [Channels(axis, first)]


def _many(call: Call) -> list[Any]:
    """The operands that have as many channels as the output."""
    found = [x for x in call.inputs if _has_many(call.channels_of(x), x)]
    return found or call.inputs[:1]


def _has_many(channels: Channels, tensor: Any) -> bool:
    return len(channels.labels) > 1


def _length(tensor: Any, axis: int) -> int:
    return (tensor.shape[axis] or 2) if len(tensor.shape) >= -axis else 1


@register(keras.layers.Concatenate)
def concatenate(call: Call) -> list[Channels]:
    return _concatenated(call, call.layer.axis)


@register("Concatenate")
def concatenate_operation(call: Call) -> list[Channels]:
    return _concatenated(call, call.layer.axis)


def _concatenated(call: Call, axis: int) -> list[Channels]:
    if axis >= 0:
        axis -= len(call.outputs[0].shape)
    operands = [call.channels_of(x) for x in call.inputs]
    axes = {x.axis for x in operands}
    if len(axes) != 1:
        raise CannotFollow("channels of its operands lie along other axes")
    (channel_axis,) = axes
    first = operands[0].labels
    if axis == channel_axis:
        first = np.concatenate([x.labels for x in operands])
    else:
        for operand in operands:
            call.unite(first, operand.labels)
    return [Channels(channel_axis, first)]
