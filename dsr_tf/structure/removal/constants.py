"""Units that give the same whatever comes in, and what that adds up to.

Where a mask has emptied the kernel of a channel, the channel is not 0: what
normalization adds to it is left, and goes through the activation that
follows. What that gives to the layers that read it is one number for each of
their outputs, which their biases can hold.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from absl import logging
from keras import ops

from dsr_tf.conversion.graph import rebuild
from dsr_tf.conversion.selection import check_model
from dsr_tf.structure.graph.channels import ChannelSet
from dsr_tf.structure.graph.channels import Slice
from dsr_tf.structure.graph.following import Following
from dsr_tf.structure.graph.structure import Structure
from dsr_tf.structure.graph.trace import graph_of
from dsr_tf.structure.removal.zero_units import is_zero
from dsr_tf.structure.rules.registry import kind_of
from dsr_tf.structure.statistics.taps import Taps

_FOLDS_INTO = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Dense,
)


def fold_constants(model: keras.Model, data: Any = None) -> keras.Model:
    """A copy of a model in which nobody reads units that are constant.

    Such are those whose kernels, or gammas, are zeros. What they give goes
    into the bias of each Dense or convolution that reads them, or where it
    has none into the mean of the normalization that follows it; then
    `zero_units` finds them. The copy computes the same, but at the border of
    convolutions that pad what is not 0.

    Args:
        model: A built functional or Sequential model, not changed.
        data: Inputs of a few examples, to see that units are constant; by
            default zeros, and numbers drawn from a normal distribution.

    Returns:
        The copy, compiled as the model is.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if the model cannot be copied, or `data` is needed, for
            its inputs may have any shape.
    """
    check_model(model, "fold_constants")
    copy = rebuild(model)
    structure = Structure(copy)
    following, folding = Following(structure), {}
    for found in structure.sets:
        candidates, readers = _candidates(found), found.with_role("in")
        if candidates.any() and all(_can_fold(x.layer) for x in readers):
            folding[found.name] = found, candidates, readers
    read_by = _inputs_of(
        copy, [x.layer for _, _, own in folding.values() for x in own], data
    )
    for found, candidates, readers in folding.values():
        places = [_bias_of(following, reader) for reader in readers]
        values = [read_by[x.layer][:, x.positions] for x in readers]
        constant = candidates & np.all(
            [np.ptp(v, axis=0).max(axis=-1) == 0 for v in values], axis=0
        )
        if any(place is None for place in places):
            # What is 0 needs no bias.
            lost = constant & np.any([v[0].any(-1) for v in values], axis=0)
            if lost.any():
                logging.warning(
                    "%d constant units of '%s' stay: a layer that reads them "
                    "has no bias, and no normalization follows it",
                    lost.sum(),
                    found.name,
                )
            constant &= ~lost
        for reader, place, read in zip(readers, places, values):
            _fold(reader, place, read[0], constant)
    return copy


def _can_fold(layer: Any) -> bool:
    return kind_of(layer) in _FOLDS_INTO and getattr(layer, "groups", 1) == 1


def _candidates(found: ChannelSet) -> np.ndarray:
    """For each unit, whether its weights say that it may be constant."""
    results = np.zeros(found.num_units, "bool")
    for role in ("out", "scale"):
        slices = found.with_role(role)
        if slices:
            results |= np.all([is_zero(place) for place in slices], axis=0)
    return results


def _inputs_of(
    model: keras.Model, layers: Iterable[Any], data: Any
) -> dict[Any, np.ndarray]:
    """What layers read, an array `(places, channels)` for each."""
    wanted = list(dict.fromkeys(layers))
    if not wanted:
        return {}
    taps = Taps(model, [(layer, lambda x, y, _: x) for layer in wanted])
    nothing = [np.zeros(1)] * len(wanted)
    rows: dict[Any, list[np.ndarray]] = {layer: [] for layer in wanted}
    for inputs in [data] if data is not None else _examples(model):
        for layer, calls in zip(wanted, taps.read(inputs, nothing)):
            axis = 1 if _is_channels_first(layer) else -1
            rows[layer].extend(
                np.moveaxis(x, axis, -1).reshape(-1, x.shape[axis])
                for x in calls
            )
    return {layer: np.concatenate(own) for layer, own in rows.items()}


def _is_channels_first(layer: Any) -> bool:
    return getattr(layer, "data_format", None) == "channels_first"


def _examples(model: keras.Model) -> Iterator[Any]:
    """Two batches of inputs that a model takes."""
    generator = np.random.default_rng(0)

    def values(tensor: Any, is_random: bool) -> np.ndarray:
        if None in tensor.shape[1:]:
            raise ValueError(
                "`data` must be given for a model whose inputs may have any "
                f"shape. Received: data=None, model '{model.name}' with "
                f"inputs {tensor.shape}"
            )
        shape = (2, *tensor.shape[1:])
        if "float" not in tensor.dtype:
            return np.full(shape, int(is_random), tensor.dtype)
        if is_random:
            return generator.normal(size=shape).astype(tensor.dtype)
        return np.zeros(shape, tensor.dtype)

    for is_random in (True, False):
        yield keras.tree.map_structure(
            lambda tensor, is_random=is_random: values(tensor, is_random),
            graph_of(model).input,
        )


def _bias_of(following: Following, reader: Slice) -> Any:
    """A variable that can hold what is added to a layer's outputs.

    Returns:
        Pair of the variable, and the factor that what is added has in it;
        None if there is none.
    """
    if reader.layer.use_bias:
        return reader.layer.bias, 1
    normalization = following.normalization_after(reader.layer)
    return normalization and (normalization.moving_mean, -1)


def _fold(
    reader: Slice, place: Any, values: np.ndarray, constant: np.ndarray
) -> None:
    """Move what constant units give into a bias, and read them no more."""
    kernel = np.array(ops.convert_to_numpy(reader.variable))
    chosen = reader.positions[constant]
    rows = np.take(kernel, chosen.reshape(-1), axis=reader.axis)
    rows = np.moveaxis(rows, reader.axis, 0)
    inner = tuple(range(1, rows.ndim - 1))
    added = values[constant].reshape(-1) @ rows.sum(axis=inner)
    if place is not None:
        variable, factor = place
        variable.assign_add(factor * added.astype(variable.dtype))
    kernel[(slice(None),) * reader.axis + (chosen.reshape(-1),)] = 0
    reader.variable.assign(kernel)
