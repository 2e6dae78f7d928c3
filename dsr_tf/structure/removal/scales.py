"""Factors of branches, channels and groups: put in, and folded away."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from absl import logging
from keras import ops

from dsr_tf.conversion.graph import Changes
from dsr_tf.conversion.graph import rebuild
from dsr_tf.conversion.selection import check_model
from dsr_tf.conversion.selection import first_few
from dsr_tf.layers import Scale
from dsr_tf.structure.graph.branches import Branch
from dsr_tf.structure.graph.branches import branches
from dsr_tf.structure.graph.channels import ChannelSet
from dsr_tf.structure.graph.following import Following
from dsr_tf.structure.graph.holders import CannotHold
from dsr_tf.structure.graph.holders import holder_of
from dsr_tf.structure.graph.holders import multiply
from dsr_tf.structure.graph.holders import only_output
from dsr_tf.structure.graph.structure import Structure
from dsr_tf.structure.rules.convolution import channel_axis

# An operation, and the arguments of the `Scale` that comes behind it.
_Place = tuple[Any, dict[str, Any]]


def insert_scales(model: keras.Model, where: str = "branches") -> keras.Model:
    """A copy of a model with a layer `Scale` behind what may go.

    The scales start from 1, so the copy computes the same. It is to be
    trained with a penalty on scales, see `dsr_tf.structure.sss`.

    Args:
        model: A built functional or Sequential model, not changed.
        where: What is scaled: `"branches"`, what a branch of a residual
            network adds, see `dsr_tf.structure.branches`, by one number;
            `"channels"`, each channel between layers; or `"groups"`, each
            group of a convolution in groups, between others. Channels and
            groups are scaled before their activation, behind the
            normalization if one follows.

    Returns:
        The copy, compiled as the model is. A `Scale` is called as the layer
        before it, and `_scale`; its variable is called `scale`.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if `where` is something else, there is nothing such in
            the model whose scales `fold_scales` could fold, or the model
            cannot be copied.
    """
    check_model(model, "insert_scales")
    if where not in WHERE:
        raise ValueError(
            f"`where` must be one of {', '.join(WHERE)}. Received: "
            f"where={where!r}"
        )
    following = Following(Structure(model))
    places, left_out = [], []
    for found in WHERE[where](model):
        try:
            places += _places(following, found)
        except CannotHold as reason:
            left_out.append(f"{found.name} ({reason})")
    if not places:
        raise ValueError(
            f"Model '{model.name}' has no {where} to scale"
            + "".join(f"; {text}" for text in first_few(left_out))
            + f". Received: where={where!r}"
        )
    if left_out:
        logging.info(
            "insert_scales left these out: %s", "; ".join(first_few(left_out))
        )
    return rebuild(model, _Inserting(places))


def fold_scales(model: keras.Model) -> keras.Model:
    """A copy of a model without its layers `Scale`, that computes the same.

    The factors go into the gamma and beta of the normalization before, or
    the kernel and bias of the layer.

    Args:
        model: A built functional or Sequential model, not changed.

    Returns:
        The copy, compiled as the model is, if its optimizer fits it.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if there is a scale that no weights can hold, or the
            model cannot be copied.
    """
    check_model(model, "fold_scales")
    structure = Structure(model)
    following = Following(structure)
    held = []
    for node, _ in structure.trace.calls:
        layer = node.operation
        if isinstance(layer, Scale):
            factors = factors_of(layer)
            is_negative = bool((factors < 0).any())
            try:
                holder = holder_of(
                    following, node.input_tensors[0], is_negative
                )
                _check_axis(layer, holder, len(node.outputs[0].shape))
            except CannotHold as reason:
                raise ValueError(
                    f"'{layer.name}' cannot be folded: {reason}"
                ) from None
            held.append((holder, factors))
    changes = _Folding()
    copy = rebuild(model, changes)
    for layer in copy._flatten_layers():
        if isinstance(layer, Scale):
            raise ValueError(
                f"'{layer.name}' cannot be folded: another layer holds it"
            )
    for holder, factors in held:
        multiply(changes.made[id(holder)], factors)
    return copy


def factors_of(layer: Scale) -> np.ndarray:
    """The factors of a `Scale`: one for each channel, or `(1,)`."""
    values = ops.convert_to_numpy(layer.scale)
    if layer.num_scales == 1:
        return values
    length = layer._inbound_nodes[0].outputs[0].shape[layer.axis]
    return np.repeat(values, length // len(values))


def _channels(model: keras.Model) -> list[ChannelSet]:
    return [x for x in Structure(model).sets if x.kind == "inner"]


def _groups(model: keras.Model) -> list[ChannelSet]:
    sets = Structure(model, groups=True).sets
    return [x for x in sets if x.kind == "groups"]


# What may be scaled, and a function that finds it.
WHERE: dict[str, Callable[[keras.Model], Sequence[Branch | ChannelSet]]]
WHERE = {"branches": branches, "channels": _channels, "groups": _groups}


def _places(following: Following, found: Branch | ChannelSet) -> list[_Place]:
    """Where scales of a branch, or of a set of channels, are put.

    Raises:
        CannotHold: if a scale could not be folded, or if what it has made 0
            would not be 0 where it is read.
    """
    if isinstance(found, Branch):
        places: list[_Place] = [(found.layers[-1], {"num_scales": 1})]
    else:
        places = [
            (
                following.normalization_after(layer) or layer,
                {"num_scales": _number(found, layer), "axis": _axis(layer)},
            )
            for layer in found.producers
            if _number(found, layer) != 1
        ]
    for operation, _ in places:
        holder_of(following, only_output(following, operation))
    if isinstance(found, ChannelSet):
        _check_nothing_is_added(following, found, [x for x, _ in places])
    return places


def _number(found: ChannelSet, layer: Any) -> int | None:
    """The `num_scales` behind a layer that makes channels."""
    if found.kind == "groups":
        return getattr(layer, "groups", 1)
    return None


def _check_axis(layer: Scale, holder: Any, rank: int) -> None:
    """Refuse factors that do not lie along what the holder puts out."""
    if layer.num_scales == 1:
        return
    axis = _axis(holder)
    if layer.axis % rank != axis % rank:
        raise CannotHold(
            f"its factors lie along axis {layer.axis}, and the channels of "
            f"'{holder.name}' along {axis}"
        )


def _axis(layer: Any) -> int:
    if isinstance(layer, keras.layers.BatchNormalization):
        return layer.axis
    if not hasattr(layer, "data_format"):
        return -1
    return channel_axis(layer, layer.rank + 1)


def _check_nothing_is_added(
    following: Following, found: ChannelSet, scaled: list[Any]
) -> None:
    own = {*found.producers, *scaled}
    for one in found.with_role("bias", "shift", "statistic"):
        if one.layer not in own and any(
            following.is_after(one.layer, layer) for layer in scaled
        ):
            raise CannotHold(f"'{one.layer.name}' adds to what is scaled")


class _Inserting(Changes):
    """A `Scale` behind some operations."""

    def __init__(self, places: list[_Place]) -> None:
        super().__init__()
        self._places = {id(operation): place for operation, place in places}
        self._copies: dict[int, _Place] = {}

    def layer(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        return self._noted(layer, super().layer(layer))

    def operation(self, operation: Any) -> Any:
        return self._noted(operation, super().operation(operation))

    def _noted(self, operation: Any, copy: Any) -> Any:
        if id(operation) in self._places:
            self._copies[id(copy)] = operation, self._places[id(operation)]
        return copy

    def calls(self, model: keras.Sequential) -> bool:
        return any(id(layer) in self._places for layer in model.layers)

    def call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = operation(*args, **kwargs)
        if id(operation) not in self._copies:
            return outputs
        original, arguments = self._copies[id(operation)]
        return Scale(
            **arguments,
            name=f"{original.name}_scale",
            dtype=getattr(original, "dtype_policy", None),
        )(outputs)


class _Folding(Changes):
    """No `Scale`, and what became of the other layers.

    Attributes:
        made: The copy of each layer, by its identity.
    """

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[int, Any] = {}

    def layer(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        self.made[id(layer)] = super().layer(layer)
        return self.made[id(layer)]

    def calls(self, model: keras.Sequential) -> bool:
        return any(isinstance(layer, Scale) for layer in model.layers)

    def call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = operation(*args, **kwargs)
        return args[0] if isinstance(operation, Scale) else outputs
