"""Copies of models: the same graph, made of other layers."""

import contextlib
import inspect
import warnings
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import keras
from absl import logging

from dsr_tf.conversion.state import Transfer
from dsr_tf.conversion.state import first_line
from dsr_tf.conversion.state import load_tables
from dsr_tf.layers.parts import SparseParts
from dsr_tf.layers.parts import add_parts
from dsr_tf.layers.parts import as_plain
from dsr_tf.layers.parts import lists_layers

# Objects of these classes are shared with the copy, not made again from a
# configuration: not all of them have one, and none keeps state.
_SHARED = (
    keras.initializers.Initializer,
    keras.regularizers.Regularizer,
    keras.constraints.Constraint,
)

# Methods that a subclass may have and still be no more than its layers.
_HARMLESS = {"get_config", "from_config"}


def is_graph(model: object) -> bool:
    """Whether a model can be made of copies of its layers, connected alike.

    `keras.Model` made of inputs and outputs is of the class Functional. Of a
    subclass with methods of its own, such as another training step, that can
    be said where Keras makes it of inputs and outputs as well.
    """
    if not isinstance(model, keras.Model):
        return False
    own: set[str] = set()
    for kind in type(model).__mro__:
        if kind is keras.Sequential:
            return not own
        if kind.__name__ == "Functional":
            return not own or ("call" not in own and lists_layers(model))
        own |= {n for n in vars(kind) if not n.startswith("_")} - _HARMLESS
        own |= {"call"} & {n.strip("_") for n in vars(kind)}
    return False


def rebuild(
    model: keras.Model,
    convert: Callable[[keras.layers.Layer], keras.layers.Layer] | None = None,
) -> keras.Model:
    """Copy a model, states and all.

    Args:
        model: A built model: Sequential, functional, or of a class that is
            made again from its configuration.
        convert: Function that receives a layer and returns the layer that
            takes its place, new and not built. It is called for the layers
            in models and in `TimeDistributed`, not for layers inside of
            other layers. By default, layers are copied.

    Returns:
        The copy, in which layers are shared as they were, and each layer
        has the state of the one that it was made of.

    Raises:
        ValueError: if something cannot be copied.
    """
    copies, converted = {}, []
    convert = convert or copy_layer

    def copied(operation: Any) -> Any:
        if id(operation) not in copies:
            copies[id(operation)] = operation, made(operation)
        return copies[id(operation)][1]

    def made(operation: Any) -> Any:
        if not isinstance(operation, keras.layers.Layer):
            return _copy_operation(operation)
        if is_graph(operation):
            return _copy_graph(operation, copied)
        if type(operation) is keras.layers.TimeDistributed:
            return keras.layers.TimeDistributed(
                copied(operation.layer), **_basics(operation)
            )
        converted.append((operation, convert(operation)))
        return converted[-1][1]

    own = {
        type(layer).__name__: type(layer)
        for layer in model._flatten_layers()
        if not type(layer).__module__.startswith("keras.")
    }
    with keras.saving.custom_object_scope(own):
        copy = copied(model)
        if not is_graph(model):
            _build_like(model, copy)
    transfer = Transfer()
    for old, new in converted:
        transfer.copy(old, new)
    transfer.check_complete(model)
    _compile_like(model, copy)
    return copy


def _build_like(model: keras.Model, copy: keras.Model) -> None:
    """Build a copy that was made from a configuration."""
    if len(copy.variables) == len(model.variables):
        return
    with warnings.catch_warnings():
        # What Keras warns of, that it is not built, is told below.
        warnings.simplefilter("ignore")
        copy.build_from_config(model.get_build_config())
    if len(copy.variables) != len(model.variables):
        raise ValueError(
            f"Model '{model.name}' ({type(model).__name__}) cannot be copied: "
            f"made again from its configuration, it has "
            f"{len(copy.variables)} variables for {len(model.variables)}"
        )


def copy_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
    """A new layer of the same kind and configuration, not built.

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
            copy = _made_again(layer)
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


def _made_again(layer: keras.layers.Layer) -> keras.layers.Layer:
    """A layer from the configuration of another, or from its arguments.

    Classes of users may have no `get_config`, or take no `name`. Most of
    them keep what they were given under the names of the arguments. (Whether
    the copy has the same arguments and variables is compared in the end.)
    """
    try:
        return type(layer).from_config(config_of(layer))
    except Exception as error:  # Layers of users raise what they like.
        arguments = inspect.signature(type(layer)).parameters
        takes_any = any(p.kind is p.VAR_KEYWORD for p in arguments.values())
        values = {**vars(layer), **_basics(layer)}
        given = {name: values[name] for name in arguments if name in values}
        if takes_any:
            given.update(_basics(layer))
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
        **_basics(layer),
    )


def _basics(layer: keras.layers.Layer) -> dict[str, Any]:
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


def _copy_graph(
    model: keras.Model, copied: Callable[[Any], Any]
) -> keras.Model:
    with _not_compiled(model):
        if isinstance(model, keras.Sequential):
            return keras.models.clone_model(model, clone_function=copied)
        return keras.models.clone_model(
            model,
            input_tensors=keras.tree.map_structure(_copy_input, model.input),
            clone_function=copied,
            call_function=_call,
        )


@contextlib.contextmanager
def _not_compiled(model: keras.Model) -> Iterator[None]:
    """Keep Keras from compiling the copy, which may raise an error."""
    compiled, model.compiled = model.compiled, False
    try:
        yield
    finally:
        model.compiled = compiled


def _compile_like(model: keras.Model, copy: keras.Model) -> None:
    """Compile a copy as the model is, if its settings can be saved."""
    if model.compiled:
        try:
            copy.compile_from_config(model.get_compile_config())
        except Exception as error:  # What a user gave may raise anything.
            logging.info(
                "The copy of '%s' is not compiled (%s)",
                model.name,
                first_line(error),
            )


def _copy_input(tensor: Any) -> Any:
    layer = tensor._keras_history.operation
    copy = keras.Input(
        batch_shape=tensor.shape,
        dtype=tensor.dtype,
        name=layer.name,
        sparse=tensor.sparse,
        optional=getattr(layer, "optional", False),
    )
    # The tensor of a layer without a given name has another name.
    copy.name = tensor.name
    return copy


def _call(operation: Any, *args: Any, **kwargs: Any) -> Any:
    for value in keras.tree.flatten((args, kwargs)):
        if isinstance(value, keras.Variable):
            raise ValueError(
                f"'{operation.name}' is called with the variable "
                f"{value.path}, which a copy would share with the model"
            )
    return operation(*args, **kwargs)


def _copy_operation(operation: Any) -> Any:
    """A copy of what has no state, such as `keras.ops.relu` of a tensor."""
    kind: Any = type(operation)
    copy = kind.__new__(kind)
    vars(copy).update(vars(operation))
    copy._inbound_nodes, copy._outbound_nodes = [], []
    return copy
