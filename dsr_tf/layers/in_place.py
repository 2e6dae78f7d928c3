"""A layer that is built already becomes masked, or Keras' own again.

Whatever holds the layer, holds it afterwards as well: a graph, a wrapper, a
layer or model of a user. Its weights stay the variables that they are, so
shared ones stay shared, and an optimizer keeps its slots.
"""

from typing import Any

from keras import ops

from dsr_tf.core.granularity import Granularity
from dsr_tf.layers import storages
from dsr_tf.layers.change_storage import change_storage
from dsr_tf.layers.kinds import DENSE_KINDS
from dsr_tf.layers.kinds import MASKED_KINDS
from dsr_tf.layers.storages import MASKED
from dsr_tf.layers.tracking import forget
from dsr_tf.layers.tracking import unlocked


def mask_layer(
    layer: Any,
    sparsity: float | dict[str, float] = 0.9,
    granularity: str | Granularity = "element",
    seed: int | None = None,
    head_axes: dict[str, int] | None = None,
    draw: bool = True,
    storage: str = MASKED,
    num_slots: int | None = None,
) -> None:
    """Make a layer one of its masked kind.

    Args:
        layer: A layer of a class among `MASKED_KINDS`. If it is not built
            yet, masks come when it is.
        sparsity, granularity, seed: As for `Masked`.
        head_axes: For weights with an axis of attention heads, by name, that
            axis; what granularity `"head"` goes by.
        draw: Whether the masks of a built layer are drawn; if not, all of
            its weights are active until masks are set.
        storage, num_slots: As for `Masked`; not without `draw`.

    Raises:
        ValueError: if the weights cannot be cut into such groups; the layer
            is then what it was.
    """
    dense_kind = type(layer)
    with unlocked(layer), layer._open_name_scope():
        layer.__class__ = MASKED_KINDS[dense_kind]
        try:
            storages.check(layer, storage)
            layer.become_masked(
                sparsity,
                granularity,
                seed,
                head_axes,
                # Of weights that are not drawn none would be left.
                draw=draw and storage == MASKED,
                num_slots=num_slots if storage == MASKED else None,
            )
        except ValueError:
            _forget_settings(layer)
            layer.__class__ = dense_kind
            raise
    if storage != MASKED and layer.built:
        _draw_with_room(layer, storage, num_slots)
        change_storage(layer, storage, num_slots)
    elif storage != MASKED:
        storages.assign(layer, storage, num_slots)


def _draw_with_room(layer: Any, storage: str, num_slots: int | None) -> None:
    """Draw masks that a storage has room for."""
    kind = storages.get(storage)
    for name, weight in layer.masked_variables.items():
        number = layer._num_active_groups(name, weight.grouping)
        grouping = kind.with_room(weight.grouping, number, num_slots)
        weight.set_mask(grouping.random_mask(number, layer._generator(name)))


def unmask_layer(layer: Any) -> None:
    """Make a masked layer one of Keras' own; inactive weights are zeros.

    What LoRA adds becomes part of the weights.

    Args:
        layer: A layer of a class among the values of `MASKED_KINDS`.
    """
    if layer.storage != MASKED:
        if layer.built:
            change_storage(layer, MASKED)
        else:
            storages.assign(layer, MASKED, None)
    has_lora = getattr(layer, "lora_enabled", False)
    values = {
        name: ops.convert_to_numpy(getattr(layer, name)).copy()
        for name in layer.masked_variables
    }
    masked = dict(layer.masked_variables)
    gone = [weight.mask for weight in masked.values()]
    # Before it is built, a layer has neither masks nor state.
    gone += layer.state_variables if masked else []
    if has_lora:
        gone += [v for v in layer.variables if v.name.startswith("lora_")]
        layer.lora_enabled, layer.lora_rank = False, None
    with unlocked(layer):
        for variable in gone:
            forget(layer, variable)
        _forget_settings(layer)
        layer.__class__ = DENSE_KINDS[type(layer)]
        for name, weight in masked.items():
            if not hasattr(type(layer), name):
                vars(layer)[name] = vars(layer).pop(f"_{name}")
            weight.kernel.regularizer = weight.plain_regularizer
            weight.kernel.assign(values[name])
            if has_lora:
                weight.kernel.trainable = layer.trainable


# What `Masked` keeps beside variables.
_OWN_ATTRIBUTES = (
    "_sparsity_given",
    "granularity",
    "masked_variables",
    "_mask_seed",
    "_head_axes",
    "_became_masked",
    "storage",
    "num_slots",
    "why_masked",
)


def _forget_settings(layer: Any) -> None:
    for attribute in _OWN_ATTRIBUTES:
        vars(layer).pop(attribute, None)
    if not layer._dense_kind_takes_seed:
        vars(layer).pop("seed", None)
