"""What an exported model takes and gives, and needs beside weights."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


def tables(model: keras.Model) -> list[Any]:
    """The vocabularies of a model's layers, as TensorFlow keeps them.

    A SavedModel stores the attributes of its root. The root has no layers,
    so it must be given the tables of the layers.
    """
    kind = tf.saved_model.experimental.TrackableResource
    return [
        value
        for layer in model._flatten_layers()
        for value in vars(layer).values()
        if isinstance(value, kind)
    ]


def by_name(
    model: keras.Model, input_signature: Any = None
) -> tuple[list[Any], Callable[[tuple], dict[str, Any]]]:
    """Input specs by the model's names, and a call with such inputs.

    Args:
        model: A Keras model.
        input_signature: For those that do not know their inputs: a
            `tf.TensorSpec`, or a list of them.

    Returns:
        List of `tf.TensorSpec`; and a function of a tuple of such tensors
        that gives a dict of outputs by name.

    Raises:
        ValueError: if the inputs are not known.
    """
    known = getattr(model, "inputs", None)
    if known and input_signature is None:
        struct = _inputs_struct(model)
        specs = [
            tf.TensorSpec((None, *t.shape[1:]), t.dtype, name=t.name)
            for t in tf.nest.flatten(struct)
        ]
        graph = getattr(model, "_functional", model)
        output_names = graph.output_names
    elif input_signature is not None:
        struct = input_signature
        specs = tf.nest.flatten(input_signature)
        output_names = None
    else:
        raise ValueError(
            f"Model '{model.name}' does not know its inputs. Give "
            "`input_signature`, such as tf.TensorSpec((None, 28, 28)). "
            "Received: input_signature=None"
        )

    def call(inputs: tuple) -> dict[str, Any]:
        inputs = tf.nest.pack_sequence_as(struct, inputs)
        flat = tf.nest.flatten(model(inputs, training=False))
        names = output_names or [f"output_{i}" for i in range(len(flat))]
        return dict(zip(names, flat, strict=True))

    return specs, call


def for_export(model: keras.Model, batch_size: int | None = None) -> list[Any]:
    """What `keras.Model.export` takes as the signature of a model.

    Args:
        model: A Sequential or functional Keras model.
        batch_size: Inputs of a batch; None for any number.

    Raises:
        ValueError: if it is another one.
    """
    struct = _inputs_struct(model)
    if struct is None:
        raise ValueError(
            "it does not know its inputs, as Sequential and functional models "
            "do: wrap it in one, keras.Model(inputs, model(inputs))"
        )

    def spec(tensor: Any) -> keras.InputSpec:
        return keras.InputSpec(
            shape=(batch_size, *tensor.shape[1:]),
            dtype=tensor.dtype,
            name=tensor.name,
        )

    return [keras.tree.map_structure(spec, struct)]


def _inputs_struct(model: keras.Model) -> Any:
    """A model's inputs as it is called with them."""
    if isinstance(model, keras.Sequential):
        return model.inputs[0]
    return getattr(model, "_inputs_struct", None)
