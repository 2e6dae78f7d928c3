"""Which units are awake: those with active weights in and out."""

from collections.abc import Iterable

import keras
import numpy as np

from dsr_tf.growth.draft import Draft
from dsr_tf.structure import ChannelSet
from dsr_tf.structure import Slice


def dormant(draft: Draft, units: ChannelSet) -> np.ndarray:
    """For each unit of a set, whether it has no active weight at all."""
    places = units.with_role("out", "in")
    return ~np.any([_is_active(draft, place) for place in places], axis=0)


def remove_useless(draft: Draft, sets: Iterable[ChannelSet]) -> None:
    """Prune all weights of units without fan-in or fan-out.

    Others may come to be such units by that, and go as well. What would take
    the last weights of a kernel stays.

    Args:
        draft: The `Draft`.
        sets: Sets of units; those that nobody makes or reads stay.
    """
    sets = [s for s in sets if s.with_role("out") and s.with_role("in")]
    goes_on = True
    while goes_on:
        goes_on = any([_remove(draft, units) for units in sets])


def _remove(draft: Draft, units: ChannelSet) -> bool:
    """Whether something went."""
    is_fed, is_read = (
        np.any([_is_active(draft, p) for p in units.with_role(role)], axis=0)
        for role in ("out", "in")
    )
    useless = is_fed != is_read
    went = False
    for place in units.with_role("out", "in"):
        if place.variable not in draft:
            continue
        mask = draft.mask(place.variable)
        chosen = mask & along(place, useless)
        if chosen.any() and (mask & ~chosen).any():
            draft.prune(place.variable, chosen)
            went = True
    return went


def along(place: Slice, chosen: np.ndarray) -> np.ndarray:
    """Units of a set as booleans that broadcast to the variable's shape."""
    shape = place.variable.shape
    found = np.zeros(shape[place.axis], "bool")
    found[place.positions[chosen].reshape(-1)] = True
    return found.reshape(
        [-1 if i == place.axis else 1 for i in range(len(shape))]
    )


def awake_along(
    draft: Draft, variable: keras.Variable, axis: int
) -> np.ndarray:
    """Which places along an axis have an active weight in this kernel, as
    booleans that broadcast to its shape."""
    mask = draft.mask(variable)
    others = tuple(i for i in range(mask.ndim) if i != axis % mask.ndim)
    return np.asarray(mask.any(axis=others, keepdims=True))


def _is_active(draft: Draft, place: Slice) -> np.ndarray:
    """For each unit, whether a weight of it is active in a variable."""
    if place.variable not in draft:
        return np.ones(len(place.positions), "bool")
    active = awake_along(draft, place.variable, place.axis).reshape(-1)
    return active[place.positions].any(axis=1)
