"""`narrow`: a smaller model, without some of the channels of a larger one."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from dsr_tf.conversion.graph import Changes
from dsr_tf.conversion.graph import rebuild
from dsr_tf.conversion.selection import check_model
from dsr_tf.conversion.single import config_of
from dsr_tf.conversion.single import copy_layer
from dsr_tf.layers import Masked
from dsr_tf.layers.parts import unmask_parts
from dsr_tf.structure.graph.structure import Keep
from dsr_tf.structure.graph.structure import Structure
from dsr_tf.structure.graph.structure import structure_for
from dsr_tf.structure.removal.cutting import CuttingTransfer
from dsr_tf.structure.removal.narrowed_configs import starts_from_arrays
from dsr_tf.structure.removal.narrowed_configs import with_entry
from dsr_tf.structure.removal.narrowed_configs import without_arrays
from dsr_tf.structure.removal.narrowed_configs import without_shapes
from dsr_tf.structure.removal.narrowed_masks import mask_like
from dsr_tf.structure.removal.narrowed_slots import copy_slots


def narrow(
    model: keras.Model, keep: Keep, optimizer: bool = False
) -> keras.Model:
    """A smaller copy of a model, without some of its channels.

    It computes what `mask(model, keep)` computes. Its layers are of the
    kinds that they were: Keras' own, or masked ones with the masks of what
    is left. Units keep their order. Where a choice names selections, see
    `ChannelSet`, an operation `keras.ops.take` stands before the layer.

    Args:
        model: A built functional or Sequential model, not changed.
        keep: Dict from the name of a set of `channel_sets(model)` to a
            boolean array `(num_units,)`, True where a unit stays; a set
            that is not in it keeps all units.
        optimizer: Whether the copy's optimizer goes on where that of the
            model is, its slots cut as their variables are.

    Returns:
        The copy, compiled as the model is. Masked layers start the counts
        that methods keep anew.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if `keep` does not fit the model, the model cannot be
            copied, or has no optimizer to go on with.
    """
    check_model(model, "narrow")
    structure = structure_for(model, keep)
    structure.check(keep)
    if not any(isinstance(x, Masked) for x in model._flatten_layers()):
        copy, _ = _narrowed(structure, keep)
    else:
        dense = rebuild(model)
        unmask_parts(dense)
        copy, cuts = _narrowed(structure_for(dense, keep), keep)
        mask_like(model, dense, copy, cuts)
    if optimizer:
        copy_slots(model, copy, structure.cuts(keep))
    return copy


def _narrowed(
    structure: Structure, keep: Keep
) -> tuple[keras.Model, Mapping[int, Any]]:
    changes = _Narrowing(structure, keep)
    copy = rebuild(structure.model, changes)
    return copy, changes.cuts


class _Narrowing(Changes):
    """What a copy without some channels does otherwise."""

    def __init__(self, structure: Structure, keep: Keep) -> None:
        super().__init__()
        self._trace = structure.trace
        self._kept = structure.kept_labels(keep)
        self.cuts = structure.cuts(keep)
        # Layers whose configuration changes.
        self._resized: set[int] = set()
        self.transfer: CuttingTransfer
        self.transfer = CuttingTransfer(self.cuts, self._resized)
        self._made_of: dict[int, Any] = {}
        self._selections = {
            id(selection.node.operation): selection
            for selection in self._trace.selections.values()
        }

    def _stay(self, labels: np.ndarray) -> np.ndarray:
        return self._kept[self._trace.labels.roots(labels)]

    def layer(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        sizes = self._sizes(layer)
        is_changed = sizes or (
            starts_from_arrays(layer) and self.transfer.cuts(layer)
        )
        if is_changed or isinstance(layer, keras.layers.Bidirectional):
            config = without_shapes(config_of(layer))
            if self.transfer.cuts(layer):
                config = without_arrays(config)
            for place, size in sizes.items():
                config = with_entry(config, place, size)
            copy = copy_layer(layer, config)
            self._resized.add(id(layer))
        else:
            copy = super().layer(layer)
        self._made_of[id(copy)] = layer
        return copy

    def operation(self, operation: Any) -> Any:
        copy = super().operation(operation)
        for (name, *place), size in self._sizes(operation).items():
            value = with_entry(getattr(copy, name), tuple(place), size)
            setattr(copy, name, value)
        return copy

    def _sizes(self, operation: Any) -> dict[tuple, int]:
        """The numbers of channels in a configuration that change."""
        stay = {
            place: self._stay(labels)
            for place, labels in self._trace.sizes.get(
                id(operation), {}
            ).items()
        }
        return {
            place: int(chosen.sum())
            for place, chosen in stay.items()
            if not chosen.all()
        }

    def shape(self, tensor: Any) -> tuple[int | None, ...]:
        channels = self._trace.channels_of(tensor)
        if not channels.labels.size:
            return tensor.shape
        shape = list(tensor.shape)
        shape[channels.axis] = int(self._stay(channels.labels).sum())
        return tuple(shape)

    def calls(self, model: keras.Sequential) -> bool:
        return any(self._places(layer) is not None for layer in model.layers)

    def call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        layer = self._made_of.get(id(operation))
        places = None if layer is None else self._places(layer)
        if layer is not None and places is not None:
            axis = self._selections[id(layer)].axis
            first, *rest = args or [kwargs.pop("inputs")]
            args = (ops.take(first, places, axis=axis), *rest)
        return operation(*args, **kwargs)

    def _places(self, layer: Any) -> list[int] | None:
        """Which of the channels that are left a layer selects; None if it
        reads all of them."""
        selection = self._selections.get(id(layer))
        if selection is None:
            return None
        there = self._stay(selection.source)
        chosen = self._stay(selection.labels)[there]
        return None if chosen.all() else np.flatnonzero(chosen).tolist()
