"""The labels of all channels of a model, found in one walk over its graph."""

import dataclasses
import math
from typing import Any

import keras
import numpy as np

from dsr_tf.conversion.graph import is_graph
from dsr_tf.conversion.state import own_variables
from dsr_tf.layers.masked_weights import layers_with_paths
from dsr_tf.layers.parts import class_of
from dsr_tf.structure.graph.call import Call
from dsr_tf.structure.graph.call import CannotFollow
from dsr_tf.structure.graph.call import Channels
from dsr_tf.structure.graph.call import unmasked_inputs
from dsr_tf.structure.graph.labels import FIXED
from dsr_tf.structure.graph.labels import Labels
from dsr_tf.structure.rules import Rule
from dsr_tf.structure.rules import rule_of


@dataclasses.dataclass(eq=False)
class LabelledWeight:
    """A variable, and what lies along its axes.

    Attributes:
        variable: The Keras variable.
        layer: The layer that has added it.
        shape: Of the whole weight.
        axes: For an axis, counted from the front, its role and labels.
        num_uses: How often each weight is multiplied for one example.
    """

    variable: keras.Variable
    layer: keras.layers.Layer
    shape: tuple[int, ...]
    axes: dict[int, tuple[str, np.ndarray]]
    num_uses: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Selection:
    """Where some of the channels that there are may be selected.

    Attributes:
        node: Keras' node, the call before which they are.
        axis: Their axis, counted from the end.
        source: Labels of the channels that there are.
        labels: As many, of those that are read.
    """

    node: Any
    axis: int
    source: np.ndarray
    labels: np.ndarray


class Trace:
    """What one walk over the graph of a model finds.

    Args:
        model: A built functional or Sequential model.
        selecting: Identities of nodes before which channels are selected.
        whole_groups: Whether what goes of convolutions in groups is whole
            groups, in place of as many channels of each.

    Attributes:
        labels: The `Labels`.
        kinds: What sets are called in which some labels are.
        weights: `LabelledWeight` by the identity of its variable.
        work: MACs without variables: the path of a layer, a constant and
            arrays of labels.
        sizes: By the identity of an operation, for places in its
            configuration the labels whose number stands there.
        fixed: Why channels stay, by the path of the layer.
        uncounted: Paths of layers whose MACs nobody has said.
        parameters: The variables that are made to be trained.
        calls: Pairs of a node and the channels of its inputs, in order.
        models: Nodes that call a model, whose layers are walked through.
        selections: `Selection` by the identity of its node.

    Raises:
        ValueError: if the model is no graph of layers.
    """

    def __init__(
        self,
        model: keras.Model,
        selecting: frozenset[int] = frozenset(),
        whole_groups: bool = False,
    ) -> None:
        self.whole_groups = whole_groups
        self.labels = Labels()
        self.kinds: dict[int, str] = {}
        self.weights: dict[int, LabelledWeight] = {}
        self.work: list[tuple[str, int, tuple[np.ndarray, ...]]] = []
        self.sizes: dict[int, dict[tuple, np.ndarray]] = {}
        self.fixed: dict[str, str] = {}
        self.uncounted: list[str] = []
        self.calls: list[tuple[Any, list[Channels]]] = []
        self.models: list[Any] = []
        self.selections: dict[int, Selection] = {}
        self._selecting = selecting
        self._channels: dict[int, Channels] = {}
        # Layers and variables that cannot be cut, whoever else has them.
        self._staying: set[int] = set()
        # Paths of layers, labels, and the reasons why they stay.
        self._last: list[tuple[str, np.ndarray, str]] = []
        self.paths = {id(x): path for x, path in layers_with_paths(model)}
        # (Which are made to be trained stays known when layers are frozen.)
        self.parameters = list(
            {
                id(variable): variable
                for layer in model._flatten_layers()
                for variable in layer._trainable_variables
            }.values()
        )
        graph = graph_of(model)
        outputs = self._walk(graph, [_fixed(x) for x in graph.inputs])
        for channels in outputs:
            self.labels.fix(channels.labels)
        for path, labels, reason in self._last:
            if self.labels.roots(labels).any():
                self.fixed[path] = reason
            self.labels.fix(labels)

    def channels_of(self, tensor: Any) -> Channels:
        """The channels of a tensor of the graph."""
        return self._channels[id(tensor)]

    def inputs_of(self, key: int) -> np.ndarray:
        """Labels of the first input of a node, given by its identity."""
        (found,) = (x for node, x in self.calls if id(node) == key)
        return found[0].labels

    def fix_last(self, operation: Any, labels: np.ndarray, reason: str) -> None:
        """Let channels stay, for a reason that counts if there is no other."""
        self._last.append((self.path_of(operation), labels, reason))

    def path_of(self, operation: Any) -> str:
        """The names that lead to a layer; the name of an operation."""
        return self.paths.get(id(operation), operation.name)

    def add_weight(
        self,
        layer: keras.layers.Layer,
        name: str,
        axes: dict[int, tuple[str, np.ndarray]],
        num_uses: int,
    ) -> None:
        """See `Call.weight`."""
        found = self._find(layer, name)
        if found is None:
            return
        variable, shape = found
        rank = len(shape)
        axes = {axis % rank: value for axis, value in axes.items()}
        for axis, (_, labels) in axes.items():
            if len(labels) != shape[axis]:
                raise ValueError(
                    f"The rule of {type(layer).__name__} gives "
                    f"{len(labels)} labels for axis {axis} of {name}, which "
                    f"is {shape[axis]} long"
                )
        known = self.weights.get(id(variable))
        if known is None:
            weight = LabelledWeight(variable, layer, shape, axes, num_uses)
            self.weights[id(variable)] = weight
            if id(variable) in self._staying:
                for _, labels in axes.values():
                    self.labels.fix(labels)
            return
        # The layer is called several times, or two have the variable.
        known.num_uses += num_uses
        for axis, (_, labels) in axes.items():
            if axis in known.axes:
                self.labels.unite(known.axes[axis][1], labels)
            else:
                self.labels.fix(labels)
        for axis in known.axes.keys() - axes.keys():
            self.labels.fix(known.axes[axis][1])

    def _find(
        self, layer: keras.layers.Layer, name: str
    ) -> tuple[keras.Variable, tuple[int, ...]] | None:
        """The variable of a weight of a layer, and the weight's shape."""
        for variable in own_variables(layer):
            if variable.name == name:
                return variable, tuple(variable.shape)
        return None

    def _rule_of(self, operation: Any) -> Rule | None:
        return rule_of(operation)

    def add_size(
        self, operation: Any, place: tuple[str | int, ...], labels: np.ndarray
    ) -> None:
        """See `Call.resizes_at`."""
        known = self.sizes.setdefault(id(operation), {}).setdefault(
            place, labels
        )
        # What is called several times has one configuration.
        self.labels.unite(known, labels)
        if id(operation) in self._staying:
            self.labels.fix(labels)

    def selected(self, node: Any, labels: np.ndarray, axis: int) -> np.ndarray:
        """See `Call.selected`."""
        if id(node) not in self._selecting:
            return labels
        fresh = self.labels.fresh(len(labels))
        self.kinds.update(dict.fromkeys(fresh.tolist(), "selection"))
        self.selections[id(node)] = Selection(node, axis, labels, fresh)
        return fresh

    def _walk(self, graph: Any, inputs: list[Channels]) -> list[Channels]:
        for tensor, channels in zip(graph.inputs, inputs, strict=True):
            self._enter(tensor, channels)
        for depth in sorted(graph._nodes_by_depth, reverse=True):
            for node in graph._nodes_by_depth[depth]:
                if not node.is_input:
                    outputs = self._call(node)
                    for tensor, channels in zip(node.outputs, outputs):
                        self._channels[id(tensor)] = channels
        return [self.channels_of(tensor) for tensor in graph.outputs]

    def _enter(self, tensor: Any, channels: Channels) -> None:
        """Let channels be those of an input of a graph, in all its calls."""
        known = self._channels.setdefault(id(tensor), channels)
        if known.axis == channels.axis:
            self.labels.unite(known.labels, channels.labels)
        else:
            self.labels.fix(known.labels)
            self.labels.fix(channels.labels)

    def _call(self, node: Any) -> list[Channels]:
        operation = node.operation
        inputs = [self.channels_of(x) for x in unmasked_inputs(node)]
        if is_graph(operation):
            graph = graph_of(operation)
            if len(graph.inputs) == len(inputs):
                self.models.append(node)
                return self._walk(graph, inputs)
            return self._fix(node, "it is called without some of its inputs")
        self.calls.append((node, inputs))
        rule = self._rule_of(operation)
        if rule is None:
            return self._fix(
                node, f"no rule for {class_of(operation).__name__}"
            )
        call = Call(self, node)
        try:
            outputs = rule(call)
        except CannotFollow as reason:
            return self._fix(node, str(reason))
        for channels in call.unasked():
            self.labels.fix(channels.labels)
        for tensor, channels in zip(node.outputs, outputs, strict=True):
            shape = tensor.shape or (None,)
            # Of an unknown number of channels none has a label.
            if (shape[channels.axis] or 0) != len(channels.labels):
                raise ValueError(
                    f"The rule of {type(operation).__name__} gives "
                    f"{len(channels.labels)} labels for an output "
                    f"{tensor.shape}, axis {channels.axis}"
                )
        return outputs

    def _fix(self, node: Any, reason: str) -> list[Channels]:
        """Let all channels stay that a call reads, and makes."""
        operation = node.operation
        inputs = [self.channels_of(x).labels for x in node.input_tensors]
        variables = getattr(operation, "variables", [])
        if variables or any(self.labels.roots(x).any() for x in inputs):
            self.fixed[self.path_of(operation)] = reason
        for labels in inputs:
            self.labels.fix(labels)
        self._keep_whole(operation)
        for variable in variables:
            self._staying.add(id(variable))
            if id(variable) in self.weights:
                for _, labels in self.weights[id(variable)].axes.values():
                    self.labels.fix(labels)
        made = {id(variable) for variable in self.parameters}
        made -= self.weights.keys()  # Their uses have been said.
        if any(len(v.shape) > 1 for v in variables if id(v) in made):
            path = self.path_of(operation)
            if path not in self.uncounted:
                self.uncounted.append(path)
        return [_fixed(x) for x in node.outputs]

    def _keep_whole(self, operation: Any) -> None:
        """Let all layers in one keep their sizes, and models their inputs."""
        parts = getattr(operation, "_flatten_layers", lambda: [operation])()
        for part in parts:
            self._staying.add(id(part))
            for labels in self.sizes.get(id(part), {}).values():
                self.labels.fix(labels)
            if is_graph(part):
                graph = getattr(part, "_functional", part)
                for tensor in getattr(graph, "inputs", None) or ():
                    self._enter(tensor, _fixed(tensor))


def graph_of(model: keras.Model) -> Any:
    """The graph that a Sequential or functional model is.

    Raises:
        ValueError: if it is none.
    """
    if not is_graph(model):
        raise ValueError(
            "Channels are found in models whose graph of layers Keras knows: "
            "Sequential ones, and those made of inputs and outputs. Received: "
            f"model '{model.name}' of type {type(model).__name__}"
        )
    if isinstance(model, keras.Sequential):
        if not model.built or model._functional is None:
            raise ValueError(
                f"Model '{model.name}' is not built yet: call it on data, or "
                "give it a `keras.Input`, first."
            )
        return model._functional
    return model


def _fixed(tensor: Any) -> Channels:
    size = tensor.shape[-1] if len(tensor.shape) > 1 else None
    return Channels(-1, np.full(size or 0, FIXED))


def size_of(weight: LabelledWeight) -> int:
    """Weights of a variable for each combination of labelled positions."""
    return math.prod(
        n for axis, n in enumerate(weight.shape) if axis not in weight.axes
    )
