"""A built layer stores its sparse weights in another way; nothing is lost.

Active groups and their weights stay what they are. An optimizer that has
slots for the old variables does not know the new ones.
"""

import dataclasses
from typing import Any

import keras
import numpy as np

from dsr_tf.layers import storages
from dsr_tf.layers.active_penalty import ActivePenalty
from dsr_tf.layers.sparse_variable import SparseVariable
from dsr_tf.layers.storages import MASKED
from dsr_tf.layers.tracking import forget
from dsr_tf.layers.tracking import unlocked


def change_storage(
    layer: Any,
    storage: str,
    num_slots: int | None = None,
    slack: float | None = None,
) -> None:
    """Store the sparse weights of a layer in another way.

    Args:
        layer: A masked layer, built.
        storage: One of `layer.storages`.
        num_slots: How many groups there is room for, see
            `dsr_tf.core.room`; None for `slack` times as many as are active,
            and at least for those that are. Masked weights keep the room
            that they had, so that the same groups move.
        slack: At least 1; None for that of the storage.

    Raises:
        ValueError: if the layer cannot store them so; it is then as before.
    """
    storages.check(layer, storage)
    changed = {
        name: _Change(weight, storage, num_slots, slack)
        for name, weight in layer.masked_variables.items()
    }
    with unlocked(layer), layer._open_name_scope():
        for name, change in changed.items():
            layer.masked_variables[name] = change.carry_out()
    rooms = [w.grouping.room for w in layer.masked_variables.values()]
    # What a copy or a file must have, too; such layers have one weight.
    num_slots = None if rooms[0] is None else rooms[0].num_slots
    storages.assign(layer, storage, num_slots)


class _Change:
    """One weight: what it will be, checked before anything is changed."""

    def __init__(
        self,
        weight: SparseVariable,
        storage: str,
        num_slots: int | None,
        slack: float | None,
    ) -> None:
        self.weight, self.storage = weight, storage
        self.places, self.groups = weight.places(), weight.groups()
        self.grouping = weight.grouping
        if storage == MASKED:
            return
        plain = dataclasses.replace(weight.grouping, room=None)
        kind = storages.get(storage)
        self.grouping = kind.with_room(
            plain, len(self.places), num_slots, slack
        )
        room = self.grouping.room
        assert room is not None
        most = int(room.counts(self.places).max(initial=1))
        if num_slots is None and most > room.num_slots:
            self.grouping = kind.with_room(plain, len(self.places), most)
        self.grouping.check_places(self.places)
        storages.check_penalty(weight.plain_regularizer, weight.layer, storage)

    def carry_out(self) -> SparseVariable:
        weight, layer, name = self.weight, self.weight.layer, self.weight.name
        regularizer, old = weight.plain_regularizer, weight.kernel
        arguments = {"dtype": old.dtype, "autocast": old._autocast}
        # In the order that the layer would have been built in: optimizers and
        # copies go by it.
        trained, others = (
            layer._trainable_variables,
            layer._non_trainable_variables,
        )
        position = _position(trained, old)
        first = _position(others, weight.unread[0])
        for variable in (old, *weight.unread):
            forget(layer, variable)
        if self.storage == MASKED:
            new = self._masked(regularizer, arguments)
        else:
            new = storages.get(self.storage).new(
                layer,
                name,
                self.grouping,
                self.places,
                lambda **given: keras.layers.Layer.add_weight(layer, **given),
                self.groups,
                regularizer=regularizer,
                **arguments,
            )
        new.kernel.trainable = old.trainable
        trained.insert(position, trained.pop())
        for _ in new.unread:
            others.insert(first, others.pop())
        setattr(layer, f"_{name}", new.kernel)
        return new

    def _masked(
        self, regularizer: Any, arguments: dict[str, Any]
    ) -> SparseVariable:
        layer, name, grouping = (
            self.weight.layer,
            self.weight.name,
            self.grouping,
        )
        whole = grouping.kernel_of(self.places, self.groups)
        if regularizer is not None:
            regularizer = ActivePenalty(layer, name, regularizer)
        kernel = keras.layers.Layer.add_weight(
            layer,
            name=name,
            shape=grouping.kernel_shape,
            initializer=lambda shape, dtype=None: keras.ops.convert_to_tensor(
                whole
            ),
            regularizer=regularizer,
            **arguments,
        )
        layer._add_mask(name, kernel, grouping, self._mask())
        return layer.masked_variables[name]

    def _mask(self) -> np.ndarray:
        return self.grouping.mask_of(self.places)


def _position(variables: list[keras.Variable], wanted: keras.Variable) -> int:
    return [id(variable) for variable in variables].index(id(wanted))
