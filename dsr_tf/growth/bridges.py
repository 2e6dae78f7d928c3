"""Policy 2: new units that bridge inputs and outputs the loss depends on.

A fully connected unit between layers l - 2 and l would let x_i, an output of
the first, reach u_j, a pre-activation of the second. How much the loss would
fall by that is B_ij, the mean over the examples of x_i * (-dL/du_j).

B needs no look into the backward pass. In a copy of the model a Dense layer
without bias, whose kernel is 0, leads from layer l - 2 to the pre-activations
of layer l: the copy computes what the model does, and the gradient of that
kernel is -B. So it is the same on every backend.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from dsr_tf.conversion.batch import Batch
from dsr_tf.conversion.gradients import mean_gradients
from dsr_tf.conversion.graph import Changes
from dsr_tf.conversion.graph import rebuild
from dsr_tf.conversion.single import config_of
from dsr_tf.conversion.single import copy_layer
from dsr_tf.conversion.state import Transfer
from dsr_tf.growth.draft import Draft
from dsr_tf.methods import grow
from dsr_tf.structure import ChannelSet
from dsr_tf.structure import Slice
from dsr_tf.structure import Structure


@dataclasses.dataclass(frozen=True, eq=False)
class Hidden:
    """Units between two fully connected layers.

    Attributes:
        units: Their `ChannelSet`.
        lower: Where the layer that makes them has them.
        upper: Where the layer that reads them has them.
    """

    units: ChannelSet
    lower: Slice
    upper: Slice


def hidden_sets(structure: Structure) -> list[Hidden]:
    """The sets of units of a model that policy 2 can add to.

    Each is made by one Dense layer and read by another, both called once.
    """
    calls = [node.operation for node, _ in structure.trace.calls]
    found = []
    for units in structure.sets:
        out, into = units.with_role("out"), units.with_role("in")
        if units.kind != "inner" or len(out) != 1 or len(into) != 1:
            continue
        if all(
            isinstance(place.layer, keras.layers.Dense)
            and place.positions.shape[1] == 1
            and sum(operation is place.layer for operation in calls) == 1
            for place in (*out, *into)
        ):
            found.append(Hidden(units, out[0], into[0]))
    return found


def bridging(
    model: keras.Model, hidden: Sequence[Hidden], batch: Batch
) -> list[np.ndarray]:
    """B for some sets of units, all by one pass over the examples.

    Args:
        model: The Keras model; it stays as it is.
        hidden: List of `Hidden` of it.
        batch: The examples and their loss.

    Returns:
        For each, a float32 array `(num_inputs, num_outputs)`.
    """
    changes = _Bridged(hidden)
    copy = rebuild(model, changes)
    kernels = [changes.bridges[id(one.upper.layer)].kernel for one in hidden]
    return [-found for found in mean_gradients(copy, kernels, batch)]


class _Bridged(Changes):
    """What a copy with bridges does otherwise."""

    def __init__(self, hidden: Sequence[Hidden]) -> None:
        super().__init__()
        # Activations are apart in it.
        self.transfer = Transfer(may_differ=("activation",))
        self.bridges: dict[int, keras.layers.Dense] = {}
        self._uppers = {id(one.upper.layer): one for one in hidden}
        self._made_of: dict[int, keras.layers.Layer] = {}
        self._inputs: dict[int, Any] = {}

    def layer(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        if id(layer) in self._uppers:
            copy = copy_layer(layer, {**config_of(layer), "activation": None})
        else:
            copy = super().layer(layer)
        self._made_of[id(copy)] = layer
        return copy

    def calls(self, model: keras.Sequential) -> bool:
        return any(id(layer) in self._uppers for layer in model.layers)

    def call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = operation(*args, **kwargs)
        layer: Any = self._made_of.get(id(operation))
        if isinstance(layer, keras.layers.Dense):
            self._inputs[id(layer)] = args[0] if args else kwargs["inputs"]
        hidden = self._uppers.get(id(layer))
        if hidden is None:
            return outputs
        bridge = keras.layers.Dense(
            outputs.shape[-1],
            use_bias=False,
            kernel_initializer="zeros",
            dtype=layer.dtype_policy,
        )
        self.bridges[id(layer)] = bridge
        bridged = outputs + bridge(self._inputs[id(hidden.lower.layer)])
        return layer.activation(bridged)


def wake_units(
    draft: Draft,
    hidden: Hidden,
    units: np.ndarray,
    bridge: np.ndarray,
    share: float,
    strength: float,
    generator: np.random.Generator,
) -> None:
    """Wake dormant units by the bridging rule.

    The pairs of an input and an output with the largest |B| are connected
    through the unit. For each, with a sign e drawn anew, the weight of the
    input grows by e * sign(B) * sqrt(|B|), that of the output by e *
    sqrt(|B|): what passes from the one to the other is then B. Both vectors
    are scaled to a mean magnitude of `strength` times that of the layer's.

    Args:
        draft: The `Draft`, in which the units wake.
        hidden: The `Hidden` that they are of.
        units: Integers, which units.
        bridge: B.
        share: beta, share of the pairs, at least one; those with a B of 0
            are connected by none.
        strength: alpha.
        generator: Draws the signs.
    """
    lower, upper = hidden.lower.variable, hidden.upper.variable
    sizes = draft.mean_magnitude(lower), draft.mean_magnitude(upper)
    for unit in units.tolist():
        fan_in, fan_out = fans(bridge, share, generator)
        for fan, size in zip((fan_in, fan_out), sizes):
            if fan.any():
                fan *= strength * size / np.abs(fan[fan != 0]).mean()
        place = hidden.lower.positions[unit, 0]
        _wake(draft, lower, (slice(None), place), fan_in)
        place = hidden.upper.positions[unit, 0]
        _wake(draft, upper, (place, slice(None)), fan_out)


def fans(
    bridge: np.ndarray, share: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The weights of a new unit before they are scaled.

    Returns:
        Arrays `(num_inputs,)` and `(num_outputs,)`, 0 where it is not
        connected.
    """
    num_pairs = max(1, round(share * bridge.size))
    best = grow.largest(np.abs(bridge).reshape(-1), num_pairs)
    inputs, outputs = np.unravel_index(best, bridge.shape)
    found = bridge[inputs, outputs].astype("float64")
    roots = np.sqrt(np.abs(found)) * generator.choice([-1, 1], len(found))
    fan_in, fan_out = np.zeros(bridge.shape[0]), np.zeros(bridge.shape[1])
    np.add.at(fan_in, inputs, roots * np.sign(found))
    np.add.at(fan_out, outputs, roots)
    return fan_in, fan_out


def _wake(
    draft: Draft,
    variable: keras.Variable,
    where: tuple[Any, Any],
    weights: np.ndarray,
) -> None:
    values = np.zeros(tuple(variable.shape))
    values[where] = weights
    draft.wake(variable, values != 0, values)
