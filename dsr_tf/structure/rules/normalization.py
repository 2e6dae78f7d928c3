"""Normalization of each channel by itself, and scales of channels.

Layer, group and unit normalization have no rule: where a channel goes, the
values of all others change.
"""

import keras
from keras.src.applications.convnext import LayerScale

from dsr_tf.layers import Scale
from dsr_tf.structure.graph.call import Call
from dsr_tf.structure.graph.call import Channels
from dsr_tf.structure.rules.convolution import gathered
from dsr_tf.structure.rules.convolution import united
from dsr_tf.structure.rules.elementwise import elementwise
from dsr_tf.structure.rules.registry import register

_ROLES = {
    "gamma": "scale",
    "beta": "shift",
    "moving_mean": "statistic",
    "moving_variance": "statistic",
    # Those of batch renormalization.
    "moving_stddev": "statistic",
    "renorm_mean": "statistic",
    "renorm_stddev": "statistic",
}


@register(keras.layers.BatchNormalization)
def batch_normalization(call: Call) -> list[Channels]:
    axis = call.layer.axis
    if axis >= 0:
        axis -= call.rank
    labels = call.selected(call.along(axis, call.inputs[0]), axis)
    for name, role in _ROLES.items():
        call.weight(name, {0: (role, labels)})
    return call.pass_on(labels, axis)


@register(LayerScale)
def layer_scale(call: Call) -> list[Channels]:
    labels = call.along(-1)
    # It adds its weight without a name.
    name = call.layer.gamma.name
    call.weight(name, {0: ("scale", labels)})
    call.resizes(projection_dim=labels)
    return call.pass_on(labels, -1)


@register(Scale)
def scale(call: Call) -> list[Channels]:
    layer = call.layer
    if layer.num_scales == 1:
        return elementwise(call)
    axis = layer.axis
    if axis >= 0:
        axis -= len(call.inputs[0].shape)
    labels = call.along(axis)
    if layer.num_scales is None:
        call.weight("scale", {0: ("scale", labels)})
    elif call.whole_groups:
        groups = gathered(call, labels, layer.num_scales)
        call.weight("scale", {0: ("scale", groups)})
        call.resizes(num_scales=groups)
    else:
        united(call, labels, layer.num_scales)
    return call.pass_on(labels, axis)
