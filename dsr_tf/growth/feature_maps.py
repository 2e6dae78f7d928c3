"""Policy 3: new feature maps, the best of several that are drawn."""

from collections.abc import Callable

import keras
import numpy as np

from dsr_tf.growth.draft import Draft
from dsr_tf.growth.units import along
from dsr_tf.growth.units import awake_along
from dsr_tf.structure import ChannelSet
from dsr_tf.structure import Structure

_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
)


def map_sets(structure: Structure, draft: Draft) -> list[ChannelSet]:
    """The sets of channels that policy 3 can add to: those that a
    convolution makes and masked layers read."""
    return [
        units
        for units in structure.sets
        if units.kind == "inner"
        and units.with_role("in")
        and len(units.with_role("out")) == 1
        and isinstance(units.producers[0], _CONVOLUTIONS)
        and all(p.variable in draft for p in units.with_role("out", "in"))
    ]


def wake_map(
    draft: Draft,
    units: ChannelSet,
    unit: int,
    strength: float,
    candidates: int,
    generator: np.random.Generator,
    loss: Callable[[], float],
) -> None:
    """Wake a dormant channel, with those weights that the loss likes best.

    It reads all channels that are awake, at each place of the window, and
    is read wherever a reader's output is awake. Its weights are drawn from
    a normal distribution, with a mean magnitude of `strength` times that of
    the kernel's weights.

    Args:
        draft: The `Draft`, in which it wakes; the model holds a candidate
            afterwards.
        units: The set of the channel.
        unit: Which it is of these.
        strength: alpha, as for other units.
        candidates: How many to draw.
        generator: Draws them.
        loss: Function that returns the loss of the model as it is.
    """
    chosen = np.arange(units.num_units) == unit
    places = units.with_role("out", "in")
    woken, sizes = [], []
    for place in places:
        rank = len(place.variable.shape)
        # Along the axis of inputs where the unit is an output, and back.
        other = rank - 2 if place.axis == rank - 1 else rank - 1
        awake = awake_along(draft, place.variable, other)
        shape = tuple(place.variable.shape)
        woken.append(np.broadcast_to(along(place, chosen) & awake, shape))
        # Of a normal distribution, the mean magnitude in its deviation.
        size = draft.mean_magnitude(place.variable) * np.sqrt(np.pi / 2)
        sizes.append(strength * size)
    drawn = [
        [
            generator.normal(0, size, mask.shape) * mask
            for mask, size in zip(woken, sizes)
        ]
        for _ in range(candidates)
    ]
    losses = []
    for weights in drawn:
        trial = draft.copy()
        for place, mask, values in zip(places, woken, weights):
            trial.wake(place.variable, mask, values)
        trial.write()
        losses.append(loss())
    best = drawn[int(np.argmin(losses))]
    for place, mask, values in zip(places, woken, best):
        draft.wake(place.variable, mask, values)
