"""Branches of residual networks: found at sums, and dropped whole."""

import collections
import dataclasses
from collections.abc import Iterable
from typing import Any

import keras

from dsr_tf.conversion.graph import Changes
from dsr_tf.conversion.graph import rebuild
from dsr_tf.conversion.selection import check_model
from dsr_tf.structure.graph.trace import Trace


@dataclasses.dataclass(frozen=True, eq=False)
class Branch:
    """One of two things that a sum is made of, which may be dropped.

    Attributes:
        name: The path of the sum in the model.
        total: The sum, a layer `Add` or an operation.
        layers: The layers of the branch, from where it leaves the other one;
            models among them as a whole, and last.
        operand: Which of the two it is, 0 or 1.
    """

    name: str
    total: Any
    layers: tuple[Any, ...]
    operand: int


def branches(model: keras.Model) -> list[Branch]:
    """The branches of a model, in the order in which it adds them.

    At a sum of two, the branch is what more layers have made since both
    came from one tensor, and the other is the shortcut.

    Args:
        model: A built functional or Sequential model.

    Returns:
        List of `Branch`; none for sums of three or more, of things that
        come from no common tensor, or of a layer that is called elsewhere.

    Raises:
        ValueError: if Keras does not know the model's graph of layers.
    """
    trace = Trace(model)
    # The layers of a model that is called several times are there once.
    called = {id(node): node for node, _ in trace.calls}
    nodes = [*called.values(), *trace.models]
    made_by = {id(x): node for node in nodes for x in node.outputs}
    times = collections.Counter(id(node.operation) for node in called.values())
    found = []
    for node in called.values():
        if type(node.operation).__name__ != "Add":
            continue
        if len(node.input_tensors) != 2 or times[id(node.operation)] > 1:
            continue
        sides = [_behind(x, made_by) for x in node.input_tensors]
        common = sides[0].keys() & sides[1].keys()
        own = [
            [side[key] for key in side if key not in common] for side in sides
        ]
        if not common and not _share_an_input(node.input_tensors, sides):
            continue
        operand = int(len(own[1]) > len(own[0]))
        layers = tuple(
            other.operation
            for other in nodes
            if any(other is x for x in own[operand])
        )
        if layers:
            name = trace.path_of(node.operation)
            found.append(Branch(name, node.operation, layers, operand))
    return found


def _behind(tensor: Any, made_by: dict[int, Any]) -> dict[int, Any]:
    """All nodes that a tensor is made by, by their identities."""
    found: dict[int, Any] = {}
    pending = [tensor]
    while pending:
        node = made_by.get(id(pending.pop()))
        if node is not None and id(node) not in found:
            found[id(node)] = node
            pending.extend(node.input_tensors)
    return found


def _share_an_input(tensors: Any, sides: list[dict[int, Any]]) -> bool:
    """Whether both sides start from one input of the model."""
    starts = []
    for tensor, side in zip(tensors, sides):
        made = {id(x) for node in side.values() for x in node.outputs}
        read = {id(x) for node in side.values() for x in node.input_tensors}
        starts.append((read | {id(tensor)}) - made)
    return bool(starts[0] & starts[1])


def drop_branches(model: keras.Model, names: Iterable[str]) -> keras.Model:
    """A copy of a model without some of its branches.

    Of a sum, the shortcut is left; layers of the branch are in the copy no
    more. It computes the same where the branch gave 0, so where the gamma and
    beta, or the kernel and bias, that it ends with are zeros.

    Args:
        model: A built functional model, not changed.
        names: Names of `branches(model)`.

    Returns:
        The copy, compiled as the model is.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if there is no such branch, it cannot be dropped, for
            what is left has another shape, or the model cannot be copied.
    """
    check_model(model, "drop_branches")
    known = {branch.name: branch for branch in branches(model)}
    wanted = list(names)
    for name in wanted:
        if name not in known:
            raise ValueError(
                f"`names` must be among the branches of '{model.name}', "
                f"{', '.join(known) or 'which has none'}. "
                f"Received: names={wanted!r}"
            )
    return rebuild(model, _Dropping([known[name] for name in wanted]))


class _Dropping(Changes):
    """Sums that give back one of their operands."""

    def __init__(self, dropped: list[Branch]) -> None:
        super().__init__()
        self._dropped = {id(branch.total): branch for branch in dropped}
        self._copies: dict[int, Branch] = {}

    def layer(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        return self._noted(layer, super().layer(layer))

    def operation(self, operation: Any) -> Any:
        return self._noted(operation, super().operation(operation))

    def _noted(self, total: Any, copy: Any) -> Any:
        if id(total) in self._dropped:
            self._copies[id(copy)] = self._dropped[id(total)]
        return copy

    def call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        branch = self._copies.get(id(operation))
        if branch is None:
            return operation(*args, **kwargs)
        operands = keras.tree.flatten((args, kwargs))
        left = operands[1 - branch.operand]
        if left.shape != operands[branch.operand].shape:
            raise ValueError(
                f"`names` must be those of branches without which the shape "
                f"stays. Received: {branch.name!r}, without which "
                f"{operands[branch.operand].shape} is {left.shape}"
            )
        return left
