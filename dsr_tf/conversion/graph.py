"""Copies of models: the same graph, made of other layers."""

import contextlib
import warnings
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import keras
from absl import logging

from dsr_tf.conversion.single import basics_of
from dsr_tf.conversion.single import copy_layer
from dsr_tf.conversion.single import copy_operation
from dsr_tf.conversion.state import Transfer
from dsr_tf.conversion.state import first_line
from dsr_tf.layers.parts import lists_layers

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


class Changes:
    """What a copy of a model does otherwise; by itself, nothing.

    Attributes:
        transfer: What carries the states of layers over.
    """

    def __init__(self) -> None:
        self.transfer = Transfer()

    def layer(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        """The layer that takes the place of one, new and not built.

        It is called for the layers in models and in `TimeDistributed`, not
        for layers inside of other layers.
        """
        return copy_layer(layer)

    def operation(self, operation: Any) -> Any:
        """What takes the place of an operation that is no layer."""
        return copy_operation(operation)

    def shape(self, tensor: Any) -> tuple[int | None, ...]:
        """The shape of an input of a model, or of a model inside of it."""
        return tensor.shape

    def call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        """Call what was made for an operation."""
        return operation(*args, **kwargs)

    def compiled(self, config: Any) -> Any:
        """What the copy is compiled with, as `get_compile_config` says it."""
        return config

    def calls(self, model: keras.Sequential) -> bool:
        """Whether `call` does more for a layer of a Sequential model, which
        is then copied as one made of inputs and outputs."""
        return False


class Converting(Changes):
    """Layers become others.

    Args:
        convert: Function that receives a layer and returns the one that
            takes its place, new and not built.
    """

    def __init__(
        self, convert: Callable[[keras.layers.Layer], keras.layers.Layer]
    ) -> None:
        super().__init__()
        self._convert = convert

    def layer(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        return self._convert(layer)


def rebuild(model: keras.Model, changes: Changes | None = None) -> keras.Model:
    """Copy a model, states and all.

    Args:
        model: A built model: Sequential, functional, or of a class that is
            made again from its configuration.
        changes: What the copy does otherwise; by default, nothing.

    Returns:
        The copy, in which layers are shared as they were, and each layer
        has the state of the one that it was made of.

    Raises:
        ValueError: if something cannot be copied.
    """
    copies, converted = {}, []
    changes = changes or Changes()

    def copied(operation: Any) -> Any:
        if id(operation) not in copies:
            copies[id(operation)] = operation, made(operation)
        return copies[id(operation)][1]

    def made(operation: Any) -> Any:
        if not isinstance(operation, keras.layers.Layer):
            return changes.operation(operation)
        if is_graph(operation):
            return _copy_graph(operation, copied, changes)
        if type(operation) is keras.layers.TimeDistributed:
            return keras.layers.TimeDistributed(
                copied(operation.layer), **basics_of(operation)
            )
        converted.append((operation, changes.layer(operation)))
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
    for old, new in converted:
        changes.transfer.copy(old, new)
    changes.transfer.check_complete(model)
    if type(copy).build is keras.Model.build:
        # All of its layers are. (What else a class builds is its own.)
        copy.built = model.built
    compile_like(model, copy, changes.compiled)
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


def _copy_graph(
    model: keras.Model, copied: Callable[[Any], Any], changes: Changes
) -> keras.Model:
    graph: Any = model
    with _not_compiled(model):
        if isinstance(model, keras.Sequential):
            if not changes.calls(model):
                return keras.models.clone_model(
                    model,
                    clone_function=copied,
                    input_tensors=_copy_inputs(model, changes),
                )
            graph = model._functional

        def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
            _refuse_shared_variables(operation, args, kwargs)
            return changes.call(operation, *args, **kwargs)

        return keras.models.clone_model(
            graph,
            input_tensors=_copy_inputs(graph, changes),
            clone_function=copied,
            call_function=call,
        )


@contextlib.contextmanager
def _not_compiled(model: keras.Model) -> Iterator[None]:
    """Keep Keras from compiling the copy, which may raise an error."""
    compiled, model.compiled = model.compiled, False
    try:
        yield
    finally:
        model.compiled = compiled


def compile_like(
    model: keras.Model,
    copy: keras.Model,
    change: Callable[[Any], Any] = lambda config: config,
) -> None:
    """Compile a copy as the model is, if its settings can be saved."""
    if model.compiled:
        try:
            copy.compile_from_config(change(model.get_compile_config()))
        except Exception as error:  # What a user gave may raise anything.
            logging.info(
                "The copy of '%s' is not compiled (%s)",
                model.name,
                first_line(error),
            )


def _copy_inputs(model: Any, changes: Changes) -> Any:
    def copy(tensor: Any) -> Any:
        return _copy_input(tensor, changes.shape(tensor))

    if isinstance(model, keras.Sequential):
        if not model.inputs or changes.shape(model.inputs[0]) == (
            model.inputs[0].shape
        ):
            return None
        # (Without an input layer, its `input` is what it was called on.)
        return copy(model.inputs[0])
    return keras.tree.map_structure(copy, model.input)


def _copy_input(tensor: Any, shape: tuple[int | None, ...]) -> Any:
    layer = tensor._keras_history.operation
    copy = keras.Input(
        batch_shape=shape,
        dtype=tensor.dtype,
        name=layer.name,
        sparse=tensor.sparse,
        optional=getattr(layer, "optional", False),
    )
    # The tensor of a layer without a given name has another name.
    copy.name = tensor.name
    return copy


def _refuse_shared_variables(
    operation: Any, args: Any, kwargs: dict[str, Any]
) -> None:
    for value in keras.tree.flatten((args, kwargs)):
        if isinstance(value, keras.Variable):
            raise ValueError(
                f"'{operation.name}' is called with the variable "
                f"{value.path}, which a copy would share with the model"
            )
