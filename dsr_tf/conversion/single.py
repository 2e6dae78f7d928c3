"""Copies of single layers and operations, without their states."""

import inspect
from typing import Any

import keras

from dsr_tf.conversion.state import first_line
from dsr_tf.conversion.state import load_tables
from dsr_tf.layers.parts import SparseParts
from dsr_tf.layers.parts import add_parts
from dsr_tf.layers.parts import as_plain

# Objects of these classes are shared with the copy, not made again from a
# configuration: not all of them have one, and none keeps state.
_SHARED = (
    keras.initializers.Initializer,
    keras.regularizers.Regularizer,
    keras.constraints.Constraint,
)


def copy_layer(
    layer: keras.layers.Layer, config: dict[str, Any] | None = None
) -> keras.layers.Layer:
    """A new layer of the same kind and configuration, not built.

    Args:
        layer: A layer.
        config: Another configuration for the new one.

    Raises:
        ValueError: if its configuration does not make one.
    """
    if isinstance(layer, SparseParts):
        with as_plain(layer):
            copy = copy_layer(layer)
        add_parts(copy, layer.masked_parts())
        return copy
    try:
        if type(layer) is keras.layers.Lambda:
            copy = _copy_lambda(layer)
        else:
            copy = _made_again(layer, config)
    except Exception as error:  # Layers of users raise what they like.
        raise ValueError(
            f"Layer '{layer.name}' ({type(layer).__name__}) cannot be copied: "
            "`from_config` does not make one from its `get_config` "
            f"({first_line(error)})"
        ) from error
    if isinstance(layer, keras.layers.RNN):
        _copy_settings_of_cells(layer, copy)
    load_tables(layer, copy)
    return copy


# What recurrent layers and their cells are given, and leave out of their
# configuration.
_LEFT_OUT = ("use_cudnn", "implementation", "dropout_mask_count", "seed")


def _copy_settings_of_cells(layer: Any, copy: Any) -> None:
    for old, new in zip(layer._flatten_layers(), copy._flatten_layers()):
        for name in _LEFT_OUT:
            if name in vars(old):
                setattr(new, name, vars(old)[name])


def _made_again(
    layer: keras.layers.Layer, config: dict[str, Any] | None
) -> keras.layers.Layer:
    """A layer from the configuration of another, or from its arguments.

    Classes of users may have no `get_config`, or take no `name`. Most of
    them keep what they were given under the names of the arguments. (Whether
    the copy has the same arguments and variables is compared in the end.)
    """
    if config is not None:
        return type(layer).from_config(config)
    try:
        return type(layer).from_config(config_of(layer))
    except Exception as error:  # Layers of users raise what they like.
        arguments = inspect.signature(type(layer)).parameters
        takes_any = any(p.kind is p.VAR_KEYWORD for p in arguments.values())
        values = {**vars(layer), **basics_of(layer)}
        given = {name: values[name] for name in arguments if name in values}
        if takes_any:
            given.update(basics_of(layer))
        missing = [
            name
            for name, parameter in arguments.items()
            if name not in given
            and parameter.default is parameter.empty
            and parameter.kind
            not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        ]
        if missing:
            raise error
        copy = type(layer)(**given)
        copy.name, copy.trainable = layer.name, layer.trainable
        return copy


def _copy_lambda(layer: keras.layers.Lambda) -> keras.layers.Lambda:
    """A copy with the same function objects.

    Made again from their code, functions would lose their globals.
    """
    return keras.layers.Lambda(
        layer.function,
        output_shape=layer._output_shape,
        mask=layer.mask,
        arguments=layer.arguments,
        **basics_of(layer),
    )


def basics_of(layer: keras.layers.Layer) -> dict[str, Any]:
    """What all layers are given, as keyword arguments."""
    return {
        "name": layer.name,
        "trainable": layer.trainable,
        "dtype": layer.dtype_policy,
    }


def config_of(layer: keras.layers.Layer) -> dict[str, Any]:
    """A layer's configuration, with functions as they are.

    `get_config` may give them as code or by name, which is for files.
    """
    config = layer.get_config()
    for name in config:
        value = vars(layer).get(name)
        if inspect.isfunction(value) or isinstance(value, _SHARED):
            config[name] = value
    return config


def without_lora(config: dict[str, Any]) -> None:
    """Take LoRA out of a configuration; its product goes into the kernel."""
    config.pop("lora_rank", None)
    config.pop("lora_alpha", None)


def copy_operation(operation: Any) -> Any:
    """A copy of what has no state, such as `keras.ops.relu` of a tensor."""
    kind: Any = type(operation)
    copy = kind.__new__(kind)
    vars(copy).update(vars(operation))
    copy._inbound_nodes, copy._outbound_nodes = [], []
    return copy
