"""Convolutions, plain, in groups, and transposed."""

from typing import Any

import keras
import numpy as np

from dsr_tf.structure.graph.call import Call
from dsr_tf.structure.graph.call import Channels
from dsr_tf.structure.rules.dense import check_extras
from dsr_tf.structure.rules.elementwise import check_activation
from dsr_tf.structure.rules.registry import register


def channel_axis(layer: Any, num_axes: int) -> int:
    """The axis of a layer's channels, counted from the end.

    Args:
        layer: A layer with a `data_format`.
        num_axes: How many axes an image of it has, with that of channels.
    """
    return -num_axes if layer.data_format == "channels_first" else -1


@register(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
def convolution(call: Call) -> list[Channels]:
    check_extras(call)
    layer = call.layer
    axis = channel_axis(layer, layer.rank + 1)
    inputs = call.selected(call.along(axis), axis)
    outputs = call.fresh(layer.filters)
    axes = {-2: ("in", inputs), -1: ("out", outputs)}
    if layer.groups > 1 and call.whole_groups:
        groups = gathered(call, inputs, layer.groups)
        call.unite(groups, gathered(call, outputs, layer.groups))
        call.resizes(groups=groups)
        del axes[-2]
    elif layer.groups > 1:
        axes[-2] = "in", united(call, inputs, layer.groups)
        united(call, outputs, layer.groups)
    call.weight("kernel", axes, num_uses=call.num_positions(axis))
    call.weight("bias", {-1: ("bias", outputs)})
    call.resizes(filters=outputs)
    check_activation(call, outputs)
    return call.pass_on(outputs, axis)


def united(call: Call, labels: np.ndarray, num_groups: int) -> np.ndarray:
    """The labels of the first group, united with those of all others.

    Each group must keep as many as the others, so they keep the same.
    """
    first, *others = labels.reshape(num_groups, -1)
    for other in others:
        call.unite(first, other)
    return first


def gathered(call: Call, labels: np.ndarray, num_groups: int) -> np.ndarray:
    """One label of each group, united with all others of the group."""
    first, *others = labels.reshape(num_groups, -1).T
    for other in others:
        call.unite(first, other)
    call.name_kind(first, "groups")
    return first


@register(
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
def transposed_convolution(call: Call) -> list[Channels]:
    check_extras(call)
    layer = call.layer
    axis = channel_axis(layer, layer.rank + 1)
    inputs = call.along(axis)
    outputs = call.fresh(layer.filters)
    call.weight(
        "kernel",
        {-1: ("in", inputs), -2: ("out", outputs)},
        num_uses=call.num_positions(axis, call.inputs[0]),
    )
    call.weight("bias", {-1: ("bias", outputs)})
    call.resizes(filters=outputs)
    check_activation(call, outputs)
    return call.pass_on(outputs, axis)


@register(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
def depthwise_convolution(call: Call) -> list[Channels]:
    check_extras(call)
    layer = call.layer
    axis = channel_axis(layer, layer.rank + 1)
    inputs = call.along(axis)
    outputs = np.repeat(inputs, layer.depth_multiplier)
    num_positions = call.num_positions(axis)
    call.weight("kernel", {-2: ("depthwise", inputs)}, num_uses=num_positions)
    call.weight("bias", {-1: ("bias", outputs)})
    check_activation(call, outputs)
    return call.pass_on(outputs, axis)


@register(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
def separable_convolution(call: Call) -> list[Channels]:
    check_extras(call)
    layer = call.layer
    axis = channel_axis(layer, layer.rank + 1)
    inputs = call.along(axis)
    between = np.repeat(inputs, layer.depth_multiplier)
    outputs = call.fresh(layer.filters)
    num_positions = call.num_positions(axis)
    call.weight(
        "depthwise_kernel",
        {-2: ("depthwise", inputs)},
        num_uses=num_positions,
    )
    call.weight(
        "pointwise_kernel",
        {-2: ("in", between), -1: ("out", outputs)},
        num_uses=num_positions,
    )
    call.weight("bias", {-1: ("bias", outputs)})
    call.resizes(filters=outputs)
    check_activation(call, outputs)
    return call.pass_on(outputs, axis)
