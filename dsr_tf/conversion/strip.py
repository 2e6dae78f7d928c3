"""`strip`: Keras' own layers from masked or tied ones."""

import keras

from dsr_tf.conversion.graph import config_of
from dsr_tf.conversion.graph import copy_layer
from dsr_tf.conversion.graph import rebuild
from dsr_tf.conversion.graph import without_lora
from dsr_tf.conversion.selection import check_model
from dsr_tf.layers import DENSE_KINDS
from dsr_tf.layers import Hashed
from dsr_tf.layers import Masked


def strip(model: keras.Model) -> keras.Model:
    """A copy of a sparse model made of Keras' own layers.

    Kernels are dense arrays with zeros where weights were inactive, so the
    copy computes the same and needs nothing of this package, neither to
    load nor to export. It has no masks: if it is trained further, its zeros
    change. Tied kernels are written out, and what LoRA adds to a masked
    kernel becomes part of that kernel.

    Args:
        model: A built Sequential or functional model with masked or tied
            layers.

    Returns:
        The dense model.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if the model cannot be copied, has no such layers, or
            has them where they cannot be replaced: in a layer of your own.
    """
    check_model(model, "strip")
    if not has_sparse_layers(model):
        raise ValueError(
            f"Model '{model.name}' has no masked or tied layers: there is "
            "nothing to strip."
        )

    def convert(layer: keras.layers.Layer) -> keras.layers.Layer:
        kind = DENSE_KINDS.get(type(layer))
        if kind is None:
            _refuse_sparse_parts(layer)
            return copy_layer(layer)
        config = config_of(layer)
        without_lora(config)
        for name in ("sparsity", "granularity", "seed"):
            config.pop(name, None)
        return kind.from_config(config)

    return rebuild(model, convert)


def _refuse_sparse_parts(layer: keras.layers.Layer) -> None:
    for part in layer._flatten_layers():
        kind, name = type(part).__name__, part.name
        if isinstance(part, (Masked, Hashed)):
            where = (
                f"of the kind {kind}, which has no dense kind"
                if part is layer
                else f"with '{name}' ({kind}) inside, which `strip` "
                "replaces in models and in TimeDistributed only"
            )
            raise ValueError(
                f"`strip` cannot make a layer of Keras' own from "
                f"'{layer.name}' ({type(layer).__name__}), {where}. "
                "`dsr_tf.export.saved_model` takes the model as it is."
            )


def stripped(model: keras.Model) -> keras.Model:
    """`strip(model)`, or the model itself where there is nothing to strip."""
    return strip(model) if has_sparse_layers(model) else model


def has_sparse_layers(model: keras.Model) -> bool:
    """Whether a model has masked or tied layers."""
    return any(
        isinstance(layer, (Masked, Hashed)) for layer in model._flatten_layers()
    )
