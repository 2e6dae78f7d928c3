"""Layers that multiply all channels by a matrix, and tables of vectors."""

import math
import re

import keras

from dsr_tf.structure.graph.call import Call
from dsr_tf.structure.graph.call import CannotFollow
from dsr_tf.structure.graph.call import Channels
from dsr_tf.structure.rules.elementwise import check_activation
from dsr_tf.structure.rules.registry import register


@register(keras.layers.Dense)
def dense(call: Call) -> list[Channels]:
    check_extras(call)
    inputs = call.selected(call.along(-1), -1)
    outputs = call.fresh(call.layer.units)
    call.weight(
        "kernel",
        {-2: ("in", inputs), -1: ("out", outputs)},
        num_uses=call.num_positions(-1),
    )
    call.weight("bias", {-1: ("bias", outputs)})
    call.resizes(units=outputs)
    check_activation(call, outputs)
    return call.pass_on(outputs, -1)


@register(keras.layers.EinsumDense)
def einsum_dense(call: Call) -> list[Channels]:
    """As `dense`, where the equation says no more than that."""
    check_extras(call)
    equation = call.layer.equation.replace(" ", "")
    match = re.fullmatch(r"(.*)(\w),\2(\w)->\1\3", equation)
    bias_axes = call.layer.bias_axes
    # By the inputs, whose axes may be known where the outputs' are not.
    num_uses = _num_uses(call, equation)
    if match is None or bias_axes not in (None, match and match[3]):
        call.weight("kernel", {}, num_uses)
        call.weight("bias", {})
        raise CannotFollow(f"its equation is {equation}")
    inputs = call.along(-1)
    outputs = call.fresh(call.outputs[0].shape[-1])
    call.weight(
        "kernel",
        {-2: ("in", inputs), -1: ("out", outputs)},
        num_uses,
    )
    call.weight("bias", {-1: ("bias", outputs)})
    shape = call.layer.partial_output_shape
    place = ("output_shape", len(shape) - 1)
    call.resizes_at(place, outputs)
    check_activation(call, outputs)
    return call.pass_on(outputs, -1)


def _num_uses(call: Call, equation: str) -> int:
    """How often an equation has each weight of its kernel multiplied."""
    inputs, kernel = equation.partition("->")[0].split(",")
    shape = call.inputs[0].shape[-call.rank :]
    before, dots, behind = inputs.partition("...")
    # A letter for each axis; those of the dots are in no kernel.
    num_dots = len(shape) - len(before) - len(behind) if dots else 0
    letters = before + "." * num_dots + behind
    return math.prod(
        n or 1
        for n, letter in list(zip(shape, letters, strict=True))[1:]
        if letter not in kernel.replace("...", "")
    )


@register(keras.layers.Embedding)
def embedding(call: Call) -> list[Channels]:
    check_extras(call)
    call.along(-1)
    outputs = call.fresh(call.layer.output_dim)
    call.weight("embeddings", {-1: ("out", outputs)})
    call.resizes(output_dim=outputs)
    return call.pass_on(outputs, -1)


@register(keras.layers.ReversibleEmbedding)
def reversible_embedding(call: Call) -> list[Channels]:
    """Scoring words multiplies by the table that it was looked up in."""
    layer = call.layer
    call.weight("embeddings", {})
    if call.keywords.get("reverse", (*call.arguments, False, False)[1]):
        name = "embeddings" if layer.tie_weights else "reverse_embeddings"
        call.weight(name, {}, num_uses=call.num_positions(-1))
    raise CannotFollow("its table is read along both axes")


def check_extras(call: Call) -> None:
    """Refuse layers that keep more than their own weights.

    Raises:
        CannotFollow: if one does.
    """
    if getattr(call.layer, "lora_enabled", False):
        raise CannotFollow("it has LoRA")
    if getattr(call.layer, "quantization_mode", None):
        raise CannotFollow(f"it is quantized to {call.layer.quantization_mode}")
