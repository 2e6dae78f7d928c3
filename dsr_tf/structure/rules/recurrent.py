"""Recurrent layers: a unit is its gates, and what it feeds back."""

import keras
import numpy as np

from dsr_tf.structure.graph.call import Call
from dsr_tf.structure.graph.call import CannotFollow
from dsr_tf.structure.graph.call import Channels
from dsr_tf.structure.rules.convolution import channel_axis
from dsr_tf.structure.rules.elementwise import MIXES
from dsr_tf.structure.rules.elementwise import is_elementwise
from dsr_tf.structure.rules.registry import register

_NUM_GATES = {
    keras.layers.LSTM: 4,
    keras.layers.GRU: 3,
    keras.layers.SimpleRNN: 1,
}
_CONVOLUTIONAL = (
    keras.layers.ConvLSTM1D,
    keras.layers.ConvLSTM2D,
    keras.layers.ConvLSTM3D,
)


@register(*_NUM_GATES)
def recurrent(call: Call) -> list[Channels]:
    layer = call.layer
    num_gates = next(
        gates for kind, gates in _NUM_GATES.items() if isinstance(layer, kind)
    )
    outputs = _units(call, layer.units, num_gates, -1)
    call.resizes(units=outputs)
    return call.pass_on(outputs, -1)


@register(*_CONVOLUTIONAL)
def convolutional_recurrent(call: Call) -> list[Channels]:
    layer = call.layer
    axis = channel_axis(layer.cell, layer.cell.rank + 1)
    outputs = _units(call, layer.filters, 4, axis)
    call.resizes(filters=outputs)
    return call.pass_on(outputs, axis)


def _units(call: Call, num_units: int, num_gates: int, axis: int) -> np.ndarray:
    layer, cell = call.layer, call.layer.cell
    sequence, *states = call.inputs
    num_uses = call.num_positions(axis)
    if not layer.return_sequences:
        num_uses *= sequence.shape[-2 - getattr(cell, "rank", 0)] or 1
    try:
        _check(call)
    except CannotFollow:
        for name in ("kernel", "recurrent_kernel"):
            call.weight(name, {}, num_uses, layer=cell)
        raise
    inputs = call.along(axis, sequence)
    outputs = call.fresh(num_units)
    for state in states:
        call.unite(outputs, call.along(axis, state))
    gates = np.tile(outputs, num_gates)
    # Feeding its own output back, a layer reads and makes channels at once.
    call.weight(
        "kernel",
        {-2: ("in", inputs), -1: ("out", gates)},
        num_uses,
        layer=cell,
    )
    call.weight(
        "recurrent_kernel",
        {-2: ("in", outputs), -1: ("out", gates)},
        num_uses,
        layer=cell,
    )
    call.weight("bias", {-1: ("bias", gates)}, layer=cell)
    return outputs


def _check(call: Call) -> None:
    """Refuse layers whose channels do more than feed themselves back.

    Raises:
        CannotFollow: if they do.
    """
    layer, cell = call.layer, call.layer.cell
    if layer.stateful:
        raise CannotFollow("it keeps states between batches")
    activations = (cell.activation, getattr(cell, "recurrent_activation", None))
    if not all(is_elementwise(function) for function in activations):
        raise CannotFollow(MIXES)
