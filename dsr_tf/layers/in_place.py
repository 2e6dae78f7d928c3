"""A layer that is built already becomes masked, or Keras' own again.

Whatever holds the layer, holds it afterwards as well: a graph, a wrapper, a
layer or model of a user. Its weights stay the variables that they are, so
shared ones stay shared, and an optimizer keeps its slots.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

from dsr_tf.core.granularity import Granularity
from dsr_tf.layers.kinds import DENSE_KINDS
from dsr_tf.layers.kinds import MASKED_KINDS


def mask_layer(
    layer: Any,
    sparsity: float | dict[str, float] = 0.9,
    granularity: str | Granularity = "element",
    seed: int | None = None,
    head_axes: dict[str, int] | None = None,
    draw: bool = True,
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

    Raises:
        ValueError: if the weights cannot be cut into such groups; the layer
            is then what it was.
    """
    dense_kind = type(layer)
    with _unlocked(layer), layer._open_name_scope():
        layer.__class__ = MASKED_KINDS[dense_kind]
        try:
            layer.become_masked(sparsity, granularity, seed, head_axes, draw)
        except ValueError:
            _forget_settings(layer)
            layer.__class__ = dense_kind
            raise


def unmask_layer(layer: Any) -> None:
    """Make a masked layer one of Keras' own; inactive weights are zeros.

    What LoRA adds becomes part of the weights.

    Args:
        layer: A layer of a class among the values of `MASKED_KINDS`.
    """
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
    with _unlocked(layer):
        for variable in gone:
            _forget(layer, variable)
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
)


def _forget_settings(layer: Any) -> None:
    for attribute in _OWN_ATTRIBUTES:
        vars(layer).pop(attribute, None)
    if not layer._dense_kind_takes_seed:
        vars(layer).pop("seed", None)


@contextlib.contextmanager
def _unlocked(layer: keras.layers.Layer) -> Iterator[None]:
    """Let a built layer take variables, or give them away."""
    was_locked = layer._tracker.locked
    layer._tracker.unlock()
    try:
        yield
    finally:
        if was_locked:
            layer._lock_state()


def _forget(layer: keras.layers.Layer, variable: keras.Variable) -> None:
    """Delete the attribute that holds a variable, and the variable.

    `Layer.__delattr__` does that too, but collects garbage each time.
    """
    layer._untrack_variable(variable)
    for name, value in list(vars(layer).items()):
        if value is variable:
            super(keras.layers.Layer, layer).__delattr__(name)
