"""One call of a layer as a rule sees it: labels in, labels out."""

import copy
import dataclasses
import inspect
import math
from typing import TYPE_CHECKING
from typing import Any

import keras
import numpy as np

from dsr_tf.structure.graph.labels import FIXED

if TYPE_CHECKING:
    from dsr_tf.structure.graph.trace import Trace


@dataclasses.dataclass(frozen=True, eq=False)
class Channels:
    """The labels of a tensor's channels, and the axis that they lie along.

    Attributes:
        axis: Counted from the end, so below 0: then it is the same for a
            batch and for the time steps of sequences.
        labels: int64 `(num_channels,)`.
    """

    axis: int
    labels: np.ndarray


class CannotFollow(Exception):
    """A rule cannot say what becomes of channels.

    The message is the reason, in a few words about the layer.
    """


class Call:
    """One call of a layer or operation.

    Attributes:
        layer: What is called.
        arguments: The positional arguments; tensors among them are keys for
            `channels_of`.
        keywords: The other arguments, by name.
        inputs: Its input tensors, in order, but for those that mask others.
        outputs: Its output tensors, in order.
    """

    def __init__(self, trace: "Trace", node: Any) -> None:
        self._trace, self._node = trace, node
        self._owner: Any = node.operation
        self._at: tuple[str | int, ...] = ()
        self._num_outer_axes = 0
        # Tensors of which the rule knows the channels.
        self._asked: set[int] = set()
        self.layer = node.operation
        self.arguments = node.arguments.args
        self.keywords = node.arguments.kwargs
        self.inputs = unmasked_inputs(node)
        self.outputs = list(node.outputs)

    def inside(
        self, layer: Any, *at: str | int, num_outer_axes: int = 0
    ) -> "Call":
        """The same call for a layer inside of this one.

        Args:
            layer: The layer that does the work.
            *at: Where its configuration is in that of this layer; nothing
                where it is copied by itself.
            num_outer_axes: How many axes fewer it sees tensors to have.
        """
        call = copy.copy(self)
        call.layer = layer
        call._owner, call._at = (layer, ())
        if at:
            call._owner, call._at = self._owner, (*self._at, *at)
        call._num_outer_axes = self._num_outer_axes + num_outer_axes
        return call

    def channels_of(self, tensor: Any) -> Channels:
        """What is known of the channels of one of the input tensors."""
        self._asked.add(id(tensor))
        return self._trace.channels_of(tensor)

    def unasked(self) -> list[Channels]:
        """Channels of tensors, such as masks, that no one has asked of."""
        return [
            self._trace.channels_of(tensor)
            for tensor in self._node.input_tensors
            if id(tensor) not in self._asked
        ]

    @property
    def rank(self) -> int:
        """How many axes the layer sees its first input to have."""
        return len(self.inputs[0].shape) - self._num_outer_axes

    def only_input(self) -> Channels:
        """The channels of the input, of which there must be one.

        Raises:
            CannotFollow: if there are several.
        """
        if len(self.inputs) != 1:
            raise CannotFollow(f"it takes {len(self.inputs)} tensors")
        return self.channels_of(self.inputs[0])

    def along(self, axis: int, tensor: Any = None) -> np.ndarray:
        """The labels of the input along an axis.

        Where channels lie along another axis, those are fixed.

        Args:
            axis: Counted from the end.
            tensor: One of the input tensors; by default the only one.
        """
        if tensor is None:
            channels, tensor = self.only_input(), self.inputs[0]
        else:
            channels = self.channels_of(tensor)
        if channels.axis == axis:
            return channels.labels
        self.fix(channels.labels)
        return np.full(tensor.shape[axis] or 0, FIXED)

    def selected(self, labels: np.ndarray, axis: int) -> np.ndarray:
        """Labels of those channels that the layer reads of what there is.

        They are the ones given, unless a selection of channels may be put
        before this call, see `dsr_tf.structure.graph.selections`.

        Args:
            labels: Those of the input.
            axis: The axis that they lie along.
        """
        if self.layer is not self._node.operation:
            return labels
        return self._trace.selected(self._node, labels, axis)

    def fresh(self, num_channels: int, kind: str = "") -> np.ndarray:
        """Labels of channels that this layer makes.

        Args:
            num_channels: How many.
            kind: What their set is called, where that is not for the graph
                to say, such as `"heads"`.
        """
        labels = self._trace.labels.fresh(num_channels)
        if kind:
            self.name_kind(labels, kind)
        return labels

    def name_kind(self, labels: np.ndarray, kind: str) -> None:
        """Say what the sets of labels are called, such as `"groups"`."""
        self._trace.kinds.update(dict.fromkeys(labels.tolist(), kind))

    @property
    def whole_groups(self) -> bool:
        """Whether groups of channels go as a whole, see `Trace`."""
        return self._trace.whole_groups

    def unite(self, first: np.ndarray, second: np.ndarray) -> None:
        """Let channels go together, entry by entry."""
        self._trace.labels.unite(first, second)

    def add(self, first: np.ndarray, second: np.ndarray) -> None:
        """Unite channels that are added to each other."""
        self._trace.labels.add(first, second)

    def fix(self, labels: np.ndarray, reason: str = "") -> None:
        """Let channels stay.

        Args:
            labels: Theirs.
            reason: What of the layer makes them stay; where all of them
                stay anyway, as the model's outputs do, nobody is told.
        """
        if reason:
            self._trace.fix_last(self._node.operation, labels, reason)
        else:
            self._trace.labels.fix(labels)

    def weight(
        self,
        name: str,
        axes: dict[int, tuple[str, np.ndarray]],
        num_uses: int = 0,
        layer: Any = None,
    ) -> None:
        """Say what lies along the axes of a variable.

        Args:
            name: The name that the layer has added it under; where it has
                none of that name, as without a bias, nothing happens.
            axes: For an axis, the role that it has, see `Slice`, and a label
                for each position.
            num_uses: How often each of its weights is multiplied for one
                example: the MACs are that times the weights that are kept.
            layer: The layer that has it, by default the one that is called.
        """
        self._trace.add_weight(layer or self.layer, name, axes, num_uses)

    def work(self, constant: int, *labels: np.ndarray) -> None:
        """Count MACs that no variable takes part in.

        They are the constant times the numbers of channels kept.
        """
        path = self._trace.path_of(self.layer)
        self._trace.work.append((path, constant, labels))

    def resizes(self, **labels: np.ndarray) -> None:
        """Say which arguments of the layer are numbers of channels.

        Args:
            **labels: For an argument, a label for each of the channels.
        """
        for name, array in labels.items():
            self.resizes_at((name,), array)

    def resizes_at(
        self, place: tuple[str | int, ...], labels: np.ndarray
    ) -> None:
        """Say that an entry of an argument is a number of channels.

        Args:
            place: Name of the argument, then keys or indices into it.
            labels: A label for each of the channels.
        """
        self._trace.add_size(self._owner, (*self._at, *place), labels)

    def num_positions(self, axis: int, tensor: Any = None) -> int:
        """In how many places of a tensor there are channels.

        Args:
            axis: That of the channels, counted from the end.
            tensor: By default the first output.
        """
        tensor = self.outputs[0] if tensor is None else tensor
        shape = list(tensor.shape[1:])
        del shape[axis]
        # What may be of any length is counted once.
        return math.prod(n or 1 for n in shape)

    def pass_on(self, labels: np.ndarray, axis: int) -> list[Channels]:
        """The channels of all outputs, each of which has the same."""
        return [Channels(axis, labels) for _ in self.outputs]


def unmasked_inputs(node: Any) -> list[Any]:
    """The input tensors of a node, without those that mask others.

    Keras hands masks, as those of `Embedding`, on as arguments.
    """
    named: dict[str, Any] = dict(node.arguments.kwargs)
    rest = list(node.arguments.args)
    if isinstance(node.operation, keras.layers.Layer):
        names = inspect.signature(node.operation.call).parameters
        named = dict(zip(names, rest)) | named
        rest = rest[len(names) :]
    used = [named[name] for name in named if not name.endswith("mask")]
    return [
        x
        for x in keras.tree.flatten((used, rest))
        if isinstance(x, keras.KerasTensor)
    ]
