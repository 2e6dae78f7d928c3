"""Sets of channels: units that may go, and all that goes with each."""

import dataclasses
from collections import defaultdict

import keras
import numpy as np

from dsr_tf.structure.graph.labels import FIXED
from dsr_tf.structure.graph.trace import LabelledWeight
from dsr_tf.structure.graph.trace import Trace


@dataclasses.dataclass(frozen=True, eq=False)
class Slice:
    """Where the units of a set lie along one axis of a variable.

    Attributes:
        variable: A Keras variable, such as a kernel.
        axis: The axis, counted from the front.
        positions: int64 `(num_units, repeats)`: the places of each unit.
        role: `"out"`, where a layer makes the channels; `"bias"`, what it
            adds to them; `"in"`, where a layer sums over them;
            `"depthwise"`, where it treats each apart; `"scale"`,
            `"shift"` and `"statistic"`, the gamma, beta and moving
            statistics of a normalization.
        layer: The layer that has the variable.
    """

    variable: keras.Variable
    axis: int
    positions: np.ndarray
    role: str
    layer: keras.layers.Layer

    def __repr__(self) -> str:
        # That of a variable has all of its values.
        return (
            f"Slice(variable={self.variable.path}, axis={self.axis}, "
            f"role={self.role})"
        )


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelSet:
    """Units that are alike: each is a channel, and all that goes with it.

    Attributes:
        name: The path of the first layer that makes them; of a selection,
            that of the layer that reads it and `"/selection"`; of groups,
            with `"/groups"`.
        kind: `"inner"`, channels between layers; `"stream"`, those that
            several layers add to, as blocks do to what passes by them;
            `"selection"`, those that a layer reads of what there is, which
            stays; `"heads"`, of attention; `"groups"`, all channels that go
            in and out of a group of convolutions, and between layers.
        num_units: How many there are.
        slices: The `Slice` of each axis that they lie along.
    """

    name: str
    kind: str
    num_units: int
    slices: tuple[Slice, ...] = dataclasses.field(repr=False)

    def with_role(self, *roles: str) -> tuple[Slice, ...]:
        """The slices that have one of some roles."""
        return tuple(x for x in self.slices if x.role in roles)

    @property
    def producers(self) -> tuple[keras.layers.Layer, ...]:
        """The layers that make the channels."""
        return tuple(dict.fromkeys(x.layer for x in self.with_role("out")))

    @property
    def readers(self) -> tuple[keras.layers.Layer, ...]:
        """The layers that sum over the channels."""
        return tuple(dict.fromkeys(x.layer for x in self.with_role("in")))


# A variable's place among the weights, an axis, and how often a unit is there.
_Signature = tuple[tuple[int, int, int], ...]


def sets_of(trace: Trace) -> tuple[list[ChannelSet], dict[str, np.ndarray]]:
    """The sets of channels of a model.

    Returns:
        List of `ChannelSet` in the order in which the model makes them; and
        by name, for each set, the root of the labels of each of its units.
    """
    weights = list(trace.weights.values())
    places = _places(trace, weights)
    members: dict[_Signature, list[int]] = defaultdict(list)
    for root in sorted(places):
        members[
            tuple((*key, len(found)) for key, found in places[root].items())
        ].append(root)
    sets, roots_by_name = [], {}
    names: dict[str, int] = {}
    sums, kinds = trace.labels.sums(), _kinds(trace)
    for signature, roots in members.items():
        slices = tuple(
            Slice(
                weights[index].variable,
                axis,
                np.array([places[root][index, axis] for root in roots]),
                weights[index].axes[axis][0],
                weights[index].layer,
            )
            for index, axis, _ in signature
        )
        kind = kinds.get(roots[0], "inner")
        makers = [x for x in slices if x.role == "out"] or list(slices)
        name = trace.path_of(makers[0].layer)
        if kind in ("selection", "groups"):
            name = f"{name}/{kind}"
        if kind in ("inner", "groups") and roots[0] in sums:
            kind = "stream"
        names[name] = names.get(name, 0) + 1
        if names[name] > 1:
            name = f"{name}:{names[name]}"
        sets.append(ChannelSet(name, kind, len(roots), slices))
        roots_by_name[name] = np.array(roots)
    return sets, roots_by_name


def _places(
    trace: Trace, weights: list[LabelledWeight]
) -> dict[int, dict[tuple[int, int], list[int]]]:
    """By root: for a variable's index and axis, where the unit lies."""
    places: dict[int, dict[tuple[int, int], list[int]]] = defaultdict(dict)
    for index, weight in enumerate(weights):
        for axis, (_, labels) in weight.axes.items():
            roots = trace.labels.roots(labels)
            found: dict[int, list[int]] = defaultdict(list)
            for place, root in enumerate(roots.tolist()):
                found[root].append(place)
            found.pop(FIXED, None)
            for root, its_places in found.items():
                places[root][index, axis] = its_places
    return places


def _kinds(trace: Trace) -> dict[int, str]:
    """What the sets of some roots are called."""
    labels = np.array(list(trace.kinds), "int64")
    roots = trace.labels.roots(labels).tolist()
    return dict(zip(roots, trace.kinds.values()))
