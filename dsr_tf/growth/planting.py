"""The seed that growth begins with."""

import math

import keras
import numpy as np

from dsr_tf.core import draws
from dsr_tf.core.checks import is_number
from dsr_tf.growth.draft import Draft
from dsr_tf.growth.units import along
from dsr_tf.layers import masked_weights
from dsr_tf.structure import Structure


def plant(
    model: keras.Model,
    density: float = 0.1,
    width: float = 0.4,
    seed: int | None = None,
) -> None:
    """Let only a seed of a masked model be awake (NeST).

    Of each set of units between masked layers the first stay, a share
    `width` of them, rounded, at least one; of the connections between these,
    and of those of inputs and outputs, a random share `density`, rounded, at
    least one of a kernel. All other weights are dormant. The paper's seed of
    LeNet-300-100 has 120 and 40 units and a tenth of the connections.

    Args:
        model: A built functional or Sequential model with masked layers of
            granularity `"element"`, `dsr_tf.sparsify(dense, 0.0)`.
        density: Share of the connections, in (0, 1].
        width: Share of the units, in (0, 1].
        seed: Integer that the connections are drawn from, or None.

    Raises:
        ValueError: if an argument is out of range, or the model has no
            masked layers, or others than these.
    """
    for name, value in (("density", density), ("width", width)):
        if not is_number(value) or not 0 < value <= 1:
            raise ValueError(
                f"`{name}` must be a number above 0 and at most 1. Received: "
                f"{name}={value!r}"
            )
    seed = draws.check_seed(seed)
    draft = Draft(check_elements(model))
    sets = Structure(model).sets
    for stream, weight in enumerate(draft.weights):
        possible = draft.mask(weight.kernel).copy()
        for units in sets:
            is_awake = np.arange(units.num_units) < max(
                1, round(width * units.num_units)
            )
            for place in units.with_role("out", "in"):
                if place.variable is weight.kernel:
                    possible &= ~along(place, ~is_awake)
        places = np.flatnonzero(possible)
        count = max(1, round(density * len(places)))
        generator = draws.generator(seed, stream=stream)
        chosen = np.zeros(math.prod(possible.shape), "bool")
        chosen[generator.choice(places, count, replace=False)] = True
        draft.prune(weight.kernel, ~chosen.reshape(possible.shape))
    draft.write()


def check_elements(model: keras.Model) -> list:
    """The masked weights of a model that may grow.

    Returns:
        List of the `MaskedWeight` that are trained.

    Raises:
        ValueError: if there is none, or one of another granularity than
            `"element"`.
    """
    found = masked_weights(model)
    weights = [weight for weight in found if weight.trainable]
    if not weights:
        raise ValueError(
            f"Model '{model.name}' has no masked layers that are trained: "
            "make them with `dsr_tf.sparsify(model, 0.0)`."
        )
    for weight in weights:
        if weight.granularity != "element":
            raise ValueError(
                "`granularity` must be 'element' where single connections "
                f"wake. Received: granularity={weight.granularity!r} for "
                f"{weight.path}"
            )
    return weights
