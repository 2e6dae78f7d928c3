"""The channels of a model: what may go together, and what that saves."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from dsr_tf.layers.masked_weights import refuse_stored
from dsr_tf.structure.graph import channels
from dsr_tf.structure.graph import cost as costs
from dsr_tf.structure.graph.channels import ChannelSet
from dsr_tf.structure.graph.cost import Cost
from dsr_tf.structure.graph.labels import FIXED
from dsr_tf.structure.graph.selections import trace_with_selections
from dsr_tf.structure.graph.trace import Trace
from dsr_tf.structure.graph.trace import graph_of

# For each set by its name, a bool for each unit: True where it stays.
Keep = Mapping[str, Any]


class Structure:
    """The sets of channels of a model, found in one walk over its graph.

    Where choices are compared, as under a budget, one of these is asked
    again and again; `channel_sets` and `cost` make a new one each time.

    Args:
        model: A built functional or Sequential model, masked or not.
        selections: Whether layers may also read fewer channels than there
            are, where these cannot go: see `ChannelSet.kind`.
        groups: Whether whole groups of convolutions may go, in place of as
            many channels of each group.

    Attributes:
        model: The model.
        sets: List of `ChannelSet`, in the order in which the model makes
            them.
        fixed: Dict from the path of a layer to the reason why channels that
            meet it stay.
        outputs: The output tensors of the graph.
        uncounted: Paths of layers whose MACs are not counted, for there is
            no rule for them.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if Keras does not know its graph of layers.
    """

    def __init__(
        self,
        model: keras.Model,
        selections: bool = False,
        groups: bool = False,
    ) -> None:
        if not isinstance(model, keras.Model):
            raise TypeError(
                "Channels are those of a Keras model. Received: model="
                f"{model!r} of type {type(model).__name__}"
            )
        refuse_stored(model, "Structure")
        self.model = model
        find = trace_with_selections if selections else Trace
        self.trace: Trace = find(model, whole_groups=groups)
        self.sets, self._roots = channels.sets_of(self.trace)
        self.fixed = dict(self.trace.fixed)
        self.uncounted = tuple(self.trace.uncounted)
        self.outputs = list(graph_of(model).outputs)
        self._terms: Any = None

    @property
    def by_name(self) -> dict[str, ChannelSet]:
        """The sets by their names."""
        return {found.name: found for found in self.sets}

    @property
    def selected_from(self) -> set[str]:
        """Names of the sets that selections choose from."""
        sources = [
            self.trace.labels.roots(selection.source)
            for selection in self.trace.selections.values()
        ]
        return {
            name
            for name, roots in self._roots.items()
            if any(np.isin(roots, source).any() for source in sources)
        }

    def cost(self, keep: Keep | None = None) -> Cost:
        """What the model costs when only some of its units are kept.

        Args:
            keep: Dict from the name of a set to a boolean array
                `(num_units,)`; a set that is not in it keeps all units.

        Returns:
            The `Cost`.

        Raises:
            ValueError: if `keep` does not fit the model.
        """
        if self._terms is None:
            self._terms = costs.terms_of(self.trace)
        kept = self.kept_labels(keep or {})
        parameters, macs = self._terms
        return Cost(costs.total(parameters, kept), costs.total(macs, kept))

    def kept_labels(self, keep: Keep) -> np.ndarray:
        """For each root of labels, whether its unit stays.

        Raises:
            ValueError: if `keep` does not fit the model.
        """
        kept = np.ones(self.trace.labels.num_labels, "bool")
        for name, chosen in self.checked(keep).items():
            kept[self._roots[name]] = chosen
        kept[FIXED] = True
        self._drop_what_is_not_there(kept)
        return kept

    def _drop_what_is_not_there(self, kept: np.ndarray) -> None:
        """Nothing is selected of channels that have gone."""
        for selection in self.trace.selections.values():
            source = self.trace.labels.roots(selection.source)
            labels = self.trace.labels.roots(selection.labels)
            kept[labels] &= kept[source]

    def cuts(self, keep: Keep) -> dict[int, dict[int, np.ndarray]]:
        """What stays of each variable that loses something.

        Args:
            keep: As of `cost`.

        Returns:
            By the identity of a variable, for axes along which something
            goes, a bool for each position: True where it stays.
        """
        kept = self.kept_labels(keep)
        found: dict[int, dict[int, np.ndarray]] = {}
        for key, weight in self.trace.weights.items():
            for axis, (_, labels) in weight.axes.items():
                stays = kept[self.trace.labels.roots(labels)]
                if not stays.all():
                    found.setdefault(key, {})[axis] = stays
        return found

    def check(self, keep: Keep) -> None:
        """Refuse a choice that leaves no network.

        Raises:
            ValueError: if `keep` does not fit the model, or a layer would
                select nothing of the channels that are left.
        """
        kept = self.kept_labels(keep)
        for name, roots in self._roots.items():
            if not kept[roots].any():
                raise ValueError(
                    f"`keep` must leave a unit of {name!r} among those that "
                    "are there to select from. Received: none of "
                    f"{len(roots)}"
                )

    def checked(self, keep: Keep) -> dict[str, np.ndarray]:
        """A choice as arrays, or a refusal.

        Raises:
            ValueError: if a name is that of no set, an array is not of
                booleans for all units, or a set would be empty.
        """
        sets, arrays = self.by_name, {}
        for name, chosen in keep.items():
            if name not in sets:
                known = ", ".join(list(sets)[:3]) or "none"
                raise ValueError(
                    f"`keep` has no set {name!r} to choose from: model "
                    f"'{self.model.name}' has {len(sets)} sets, such as "
                    f"{known}"
                )
            array = np.asarray(chosen)
            expected = (sets[name].num_units,)
            if array.dtype != bool or array.shape != expected:
                raise ValueError(
                    f"`keep` must have a boolean array {expected} for "
                    f"{name!r}. Received: {array.dtype} {array.shape}"
                )
            if not array.any():
                raise ValueError(
                    f"`keep` must leave a unit of {name!r}. Received: none of "
                    f"{len(array)}. To remove a whole branch, see "
                    "`dsr_tf.structure.drop_branches`"
                )
            arrays[name] = array
        return arrays


def channel_sets(
    model: keras.Model, selections: bool = False, groups: bool = False
) -> list[ChannelSet]:
    """The sets of channels of a model: see `Structure`."""
    return Structure(model, selections, groups).sets


def cost(model: keras.Model, keep: Keep | None = None) -> Cost:
    """Parameters and MACs of a model, or of what a choice leaves of it.

    Args:
        model: A built functional or Sequential model.
        keep: As of `Structure.cost`.

    Returns:
        A `Cost`.

    Raises:
        TypeError, ValueError: as of `Structure` and its `cost`.
    """
    return structure_for(model, keep or {}).cost(keep)


def structure_for(model: keras.Model, keep: Keep) -> Structure:
    """The structure whose sets a choice names, with selections and whole
    groups or without.

    Raises:
        TypeError: if the choice is no dict.
    """
    if not isinstance(keep, Mapping):
        raise TypeError(
            "`keep` is a dict from names of sets to boolean arrays. Received: "
            f"keep={keep!r}"
        )
    plain = Structure(model)
    if keep.keys() <= plain.by_name.keys():
        return plain
    for selections, groups in ((True, False), (False, True), (True, True)):
        found = Structure(model, selections, groups)
        if keep.keys() <= found.by_name.keys():
            return found
    return plain
