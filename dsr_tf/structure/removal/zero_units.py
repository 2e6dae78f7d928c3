"""Which units are zeros, and may go without a trace."""

import keras
import numpy as np
from keras import ops

from dsr_tf.structure.graph.channels import ChannelSet
from dsr_tf.structure.graph.channels import Slice
from dsr_tf.structure.graph.structure import Structure


def zero_units(
    model: keras.Model, selections: bool = False
) -> dict[str, np.ndarray]:
    """What is left of a model without the units that nobody reads.

    These are the units all of whose weights in the layers that read them
    are 0, by a mask or by themselves. (Units that give the same whatever
    comes in are made such ones by `fold_constants`.)

    Args:
        model: A built functional or Sequential model, masked or not.
        selections: Whether layers may also read fewer channels than there
            are, where these cannot go: see `ChannelSet.kind`.

    Returns:
        Dict as `narrow` takes it, with the sets in which units may go:
        `narrow(model, zero_units(model))` computes what the model does. A
        set in which all may go keeps its first unit.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if Keras does not know its graph of layers.
    """
    structure = Structure(model, selections)
    keep = {}
    for found in structure.sets:
        if found.name in structure.selected_from:
            continue  # Others than the readers of the set read them.
        stays = ~unread(found)
        if not stays.any():
            stays[0] = True
        if not stays.all():
            keep[found.name] = stays
    return keep


def unread(found: ChannelSet) -> np.ndarray:
    """For each unit of a set, whether all weights that read it are 0."""
    readers = found.with_role("in")
    if not readers:
        return np.zeros(found.num_units, "bool")
    return np.all([is_zero(reader) for reader in readers], axis=0)


def is_zero(place: Slice) -> np.ndarray:
    """For each unit, whether its weights in a variable are all 0."""
    values = ops.convert_to_numpy(place.variable) == 0
    others = tuple(i for i in range(values.ndim) if i != place.axis)
    return values.all(axis=others)[place.positions].all(axis=1)
