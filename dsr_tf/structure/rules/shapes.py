"""What gives tensors another shape, or reduces them along some axes."""

import math
from collections.abc import Sequence

import keras
import numpy as np

from dsr_tf.structure.graph.call import Call
from dsr_tf.structure.graph.call import CannotFollow
from dsr_tf.structure.graph.call import Channels
from dsr_tf.structure.graph.labels import FIXED
from dsr_tf.structure.rules.registry import register


@register(keras.layers.Flatten)
def flatten(call: Call) -> list[Channels]:
    channels, rank = call.only_input(), len(call.inputs[0].shape)
    shape, axis = call.inputs[0].shape[1:], rank - 1 + channels.axis
    if call.layer.data_format == "channels_first" and rank > 2:
        # Keras moves what is first behind all others, then flattens.
        shape, axis = (*shape[1:], shape[0]), (axis - 1) % (rank - 1)
    labels, _ = reshaped(
        channels.labels, shape, axis, call.outputs[0].shape[1:]
    )
    return [Channels(-1, labels)]


@register(keras.layers.Reshape)
def reshape(call: Call) -> list[Channels]:
    return _reshaped(call, "target_shape", call.layer.target_shape, 0)


@register("Reshape")
def reshape_operation(call: Call) -> list[Channels]:
    return _reshaped(call, "newshape", call.layer.newshape, 1)


def _reshaped(
    call: Call, name: str, target: Sequence[int], num_batch_axes: int
) -> list[Channels]:
    channels, tensor = call.only_input(), call.inputs[0]
    if not all(isinstance(n, (int, type(None))) for n in target):
        raise CannotFollow("its shape is computed")
    outputs = call.outputs[0].shape[1:]
    axis = len(tensor.shape) - 1 + channels.axis
    labels, place = reshaped(channels.labels, tensor.shape[1:], axis, outputs)
    for at, length in enumerate(target[num_batch_axes:]):
        if at == place and length != -1:
            call.resizes_at((name, num_batch_axes + at), labels)
        elif length != -1:
            # Another call may have its channels there.
            others = np.full(length, FIXED)
            call.resizes_at((name, num_batch_axes + at), others)
    return [Channels(place - len(outputs), labels)]


def reshaped(
    labels: np.ndarray,
    shape: Sequence[int | None],
    axis: int,
    target: Sequence[int | None],
) -> tuple[np.ndarray, int]:
    """Where labels lie when a tensor gets another shape.

    Args:
        labels: Those along an axis of it.
        shape: Its shape, without the batch.
        axis: The axis, counted from the front.
        target: The new shape, without the batch.

    Returns:
        Labels along an axis of the new shape, and that axis.

    Raises:
        CannotFollow: if they do not all lie along one, or it cannot be said.
    """
    old, new = ([n for n in x if n is not None] for x in (shape, target))
    if len(old) < len(shape) or len(new) < len(target):
        raise CannotFollow("its shape is not known")
    before, after = math.prod(old[:axis]), math.prod(old[axis + 1 :])
    for place, length in enumerate(new):
        front, behind = math.prod(new[:place]), math.prod(new[place + 1 :])
        # The axis may swallow some of those before and after it.
        if before % front or after % behind:
            continue
        tiles, repeats = before // front, after // behind
        if tiles * len(labels) * repeats == length:
            return np.tile(np.repeat(labels, repeats), tiles), place
    raise CannotFollow("it cuts the axis of channels")


@register(keras.layers.Permute)
def permute(call: Call) -> list[Channels]:
    return _transposed(call, (0, *call.layer.dims))


@register("Transpose")
def transpose(call: Call) -> list[Channels]:
    rank = len(call.inputs[0].shape)
    axes = call.layer.axes or tuple(reversed(range(rank)))
    return _transposed(call, tuple(axis % rank for axis in axes))


def _transposed(call: Call, axes: Sequence[int]) -> list[Channels]:
    channels, rank = call.only_input(), len(axes)
    return [Channels(axes.index(rank + channels.axis) - rank, channels.labels)]


@register(keras.layers.RepeatVector)
def repeat_vector(call: Call) -> list[Channels]:
    return [Channels(-1, call.along(-1))]


@register("Amax", "Max", "Amin", "Mean", "Min", "Std", "Sum", "Var", "Squeeze")
def reduced(call: Call) -> list[Channels]:
    """A value for all entries along some axes, others than the channels'."""
    channels, rank = call.only_input(), len(call.inputs[0].shape)
    axes = call.layer.axis
    if axes is None:
        raise CannotFollow("it mixes channels")
    gone = {a % rank for a in ([axes] if isinstance(axes, int) else axes)}
    axis = rank + channels.axis
    if axis in gone:
        raise CannotFollow("it mixes channels")
    if len(call.outputs[0].shape) == rank:
        return [channels]
    num_after = sum(a > axis for a in gone)
    return [Channels(channels.axis + num_after, channels.labels)]


@register("ExpandDims")
def expand_dims(call: Call) -> list[Channels]:
    channels, axes = call.only_input(), call.layer.axis
    rank = len(call.outputs[0].shape)
    axis = len(call.inputs[0].shape) + channels.axis
    for new in sorted(
        a % rank for a in ([axes] if isinstance(axes, int) else axes)
    ):
        axis += new <= axis
    return [Channels(axis - rank, channels.labels)]


@register("GetItem")
def get_item(call: Call) -> list[Channels]:
    """A part of a tensor that has all of its channels, such as `x[:, 0]`."""
    tensor, key = call.inputs[0], call.arguments[1]
    channels = call.channels_of(tensor)
    key = key if isinstance(key, tuple) else (key,)
    rank = len(tensor.shape)
    if not all(k is Ellipsis or isinstance(k, (int, slice)) for k in key):
        raise CannotFollow("it takes what is computed")
    if Ellipsis in key:
        at = key.index(Ellipsis)
        missing = rank - len(key) + 1
        key = (*key[:at], *[slice(None)] * missing, *key[at + 1 :])
    key = (*key, *[slice(None)] * (rank - len(key)))
    axis = rank + channels.axis
    if key[axis] != slice(None):
        raise CannotFollow("it takes some of the channels")
    num_after = sum(isinstance(k, int) for k in key[axis + 1 :])
    return [Channels(channels.axis + num_after, channels.labels)]


@register("Pad")
def pad(call: Call) -> list[Channels]:
    """More positions, and as many channels as before."""
    channels, rank = call.only_input(), len(call.inputs[0].shape)
    width = np.broadcast_to(np.asarray(call.layer.pad_width), (rank, 2))
    front, behind = width[rank + channels.axis]
    if not (front or behind):
        return [channels]
    raise CannotFollow("it adds channels")
