"""How much the units of a set matter, by the weights that belong to them."""

import re

import numpy as np
from keras import ops

from dsr_tf.core.checks import is_number
from dsr_tf.structure.graph.channels import ChannelSet
from dsr_tf.structure.graph.channels import Slice


def norm(
    channel_set: ChannelSet,
    order: float = 1,
    role: str = "out",
    layers: str | None = None,
) -> np.ndarray:
    """The norm of the weights of each unit.

    By default the sum of magnitudes of each filter (Li et al., 2016, section
    3.1), of all layers that make the units.

    Args:
        channel_set: The set.
        order: The p of the norm, at least 1.
        role: Which weights, see `Slice`: `"out"` are those that make a unit,
            without biases; `"in"` those that read it.
        layers: Regular expression; only layers count in whose names it finds
            something. By default all do.

    Returns:
        float64 array `(num_units,)`.

    Raises:
        ValueError: if an argument is out of range, or no layer counts.
    """
    if not is_number(order) or order < 1:
        raise ValueError(
            f"`order` must be a number of at least 1. Received: order={order!r}"
        )
    slices = [
        one
        for one in channel_set.with_role(role)
        if layers is None or re.search(layers, one.layer.name)
    ]
    if not slices:
        raise ValueError(
            f"Set '{channel_set.name}' must have weights to be scored by. "
            f"Received: role={role!r}, layers={layers!r}"
        )
    powers = [_of_units(one, np.abs(_values(one)) ** order) for one in slices]
    return np.sum(powers, axis=0) ** (1 / order)


def scale(channel_set: ChannelSet) -> np.ndarray:
    """The magnitude of what each unit is multiplied by when normalized.

    |gamma| of the unit (Liu et al., ICCV 2017, section 3); the mean of
    these, where several normalizations multiply it.

    Args:
        channel_set: The set.

    Returns:
        float64 array `(num_units,)`.

    Raises:
        ValueError: if nothing multiplies the units.
    """
    slices = channel_set.with_role("scale")
    if not slices:
        raise ValueError(
            f"Set '{channel_set.name}' must have a normalization with a gamma. "
            "Received: one without"
        )
    return np.mean(
        [
            _of_units(one, np.abs(_values(one))) / one.positions.shape[1]
            for one in slices
        ],
        axis=0,
    )


def relative(norms: np.ndarray) -> np.ndarray:
    """Norms as shares of the mean of those that are not 0."""
    return norms / (norms[norms > 0].mean() if norms.any() else 1)


def _values(one: Slice) -> np.ndarray:
    return ops.convert_to_numpy(one.variable).astype("float64")


def _of_units(one: Slice, values: np.ndarray) -> np.ndarray:
    """Sums of an array like the variable over what belongs to each unit."""
    rows = np.moveaxis(values, one.axis, 0).reshape(values.shape[one.axis], -1)
    return rows.sum(axis=1)[one.positions].sum(axis=1)
