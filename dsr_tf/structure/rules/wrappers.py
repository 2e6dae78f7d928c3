"""Layers that apply another layer: to every time step, or both ways."""

import keras
import numpy as np

from dsr_tf.layers.parts import class_of
from dsr_tf.structure.graph.call import Call
from dsr_tf.structure.graph.call import CannotFollow
from dsr_tf.structure.graph.call import Channels
from dsr_tf.structure.rules.recurrent import recurrent
from dsr_tf.structure.rules.registry import register
from dsr_tf.structure.rules.registry import rule_of


@register(keras.layers.TimeDistributed)
def time_distributed(call: Call) -> list[Channels]:
    layer = call.layer.layer
    rule = rule_of(layer)
    if rule is None or not isinstance(layer, keras.layers.Layer):
        raise CannotFollow(f"no rule for {class_of(layer).__name__}")
    if isinstance(layer, (keras.layers.Flatten, keras.layers.Reshape)):
        raise CannotFollow("it gives each time step another shape")
    if -call.only_input().axis >= len(call.inputs[0].shape) - 1:
        raise CannotFollow("its channels are its time steps")
    # Axes are counted from the end, where steps are like the whole.
    return rule(call.inside(layer, num_outer_axes=1))


@register(keras.layers.Bidirectional)
def bidirectional(call: Call) -> list[Channels]:
    layer = call.layer
    forward, backward = layer.forward_layer, layer.backward_layer
    if rule_of(forward) is not recurrent or rule_of(backward) is not recurrent:
        raise CannotFollow(f"no rule for {type(forward).__name__}")
    if len(call.inputs) > 1 or len(call.outputs) > 1 or not layer.merge_mode:
        raise CannotFollow("it is given or returns states")
    (first,) = recurrent(call.inside(forward, "layer", "config"))
    (second,) = recurrent(call.inside(backward, "backward_layer", "config"))
    # Keras takes both to have as many units, whatever it does with them.
    call.unite(first.labels, second.labels)
    num_copies = 2 if layer.merge_mode == "concat" else 1
    return [Channels(-1, np.tile(first.labels, num_copies))]
