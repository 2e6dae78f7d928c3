"""What masks, or codes, have emptied: single weights, channels and more."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from dsr_tf.core.kernel_axes import KernelAxes
from dsr_tf.layers.clustered_variable import ClusteredVariable
from dsr_tf.layers.kinds import kernel_axes_of
from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.layers.masked_weights import clustered_weights
from dsr_tf.layers.masked_weights import masked_weights

# Parts of a kernel that a mask may empty, the largest first.
PARTS = ("layer", "channel", "shape", "kernel", "element")


def emptied(model: keras.Model) -> list[str]:
    """The largest parts of kernels that masks, or codes, say all of.

    It is found in the masks: a granularity is how they may be cut, this is
    how they are. Masks of single weights that have left nothing but whole
    channels have emptied channels.

    Args:
        model: A built Keras model.

    Returns:
        A name for each kind of part that some kernel has lost, without
        repetition, in the order "layer", for all of a kernel; "channel", for
        output channels and what reads input channels; "shape"; "kernel";
        then names of blocks and of patterns N:M; "element". See
        `dsr_tf.core.granularity`. Empty if all weights are active.
    """
    found = {
        _emptied_of(_mask_of(weight), axes_of(weight), weight.granularity)
        for weight in masked_weights(model)
    }
    # Of clustered kernels 0 is the code of what is pruned.
    found |= {
        _emptied_of(
            np.asarray(keras.ops.convert_to_numpy(weight.codes)) != 0,
            axes_of(weight),
            "element",
        )
        for weight in clustered_weights(model).values()
    }
    found.discard("")
    order = {name: i for i, name in enumerate(PARTS)}
    between = order["kernel"] + 0.5
    return sorted(found, key=lambda name: (order.get(name, between), name))


def num_dead_units(weight: MaskedWeight, places: np.ndarray) -> int:
    """Output units, or channels, of a kernel without an active weight.

    Args:
        weight: A `MaskedWeight`.
        places: Its active groups, as `weight.variable.places()` has them.
    """
    grouping = weight.grouping
    channels = sorted(axes_of(weight).channels)
    along = [grouping.mask_shape[axis] for axis in channels]
    where = np.unravel_index(places, grouping.mask_shape)
    alive = np.unique(
        np.ravel_multi_index([where[axis] for axis in channels], along)
    )
    # A group may span several units, which live or die together.
    spanned = math.prod(grouping.block_shape[axis] for axis in channels)
    return (math.prod(along) - len(alive)) * spanned


def _mask_of(weight: MaskedWeight) -> np.ndarray:
    """The mask of a kernel, an entry for each weight."""
    entries = weight.grouping.mask_of(weight.variable.places())
    blocks = [
        (n // entry) if entry else n
        for n, entry in zip(weight.grouping.kernel_shape, entries.shape)
    ]
    return np.kron(entries, np.ones(blocks, "bool"))


def axes_of(weight: MaskedWeight | ClusteredVariable) -> KernelAxes:
    """What the axes of a kernel stand for."""
    if isinstance(weight, ClusteredVariable):
        name, num_axes = weight.name, len(weight.codes.shape)
    else:
        name = weight.variable.name
        num_axes = len(weight.grouping.kernel_shape)
    found = kernel_axes_of(weight.layer, name, num_axes)
    return found or KernelAxes.of(num_axes)


def _emptied_of(mask: np.ndarray, axes: KernelAxes, own: str) -> str:
    """The largest part that a mask says all of; `""` if all is active."""
    if mask.all():
        return ""
    if not mask.any():
        return "layer"
    channels = _any_along(mask, _others(mask, axes.channels))
    inputs = _any_along(mask, _others(mask, axes.inputs))
    if (mask == (channels & inputs)).all():
        return "channel"
    if own not in PARTS:
        return own  # Nothing larger than its blocks, or bundles.
    window = _others(mask, axes.channels | axes.inputs)
    for name, along in (("shape", sorted(axes.outputs)), ("kernel", window)):
        several = any(mask.shape[axis] > 1 for axis in along)
        if several and (mask == (_any_along(mask, along) & channels)).all():
            return name
    return "element"


def _others(mask: np.ndarray, axes: frozenset[int]) -> list[int]:
    return [axis for axis in range(mask.ndim) if axis not in axes]


def _any_along(mask: np.ndarray, axes: Sequence[int]) -> Any:
    return np.any(mask, axis=tuple(axes), keepdims=True)
