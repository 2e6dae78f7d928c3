"""`strip`: Keras' own layers from masked, tied or clustered ones."""

from typing import Any

import keras

from dsr_tf import optimizers
from dsr_tf.conversion.graph import Converting
from dsr_tf.conversion.graph import compile_like
from dsr_tf.conversion.inplace import prepared
from dsr_tf.conversion.selection import check_model
from dsr_tf.conversion.single import config_of
from dsr_tf.conversion.single import copy_layer
from dsr_tf.layers import DENSE_KINDS
from dsr_tf.layers import Clustered
from dsr_tf.layers import Hashed
from dsr_tf.layers import Masked
from dsr_tf.layers.parts import unmask_parts
from dsr_tf.layers.storages import MASKED


def strip(model: keras.Model, inplace: bool = False) -> keras.Model:
    """A copy of a sparse model made of Keras' own layers.

    Kernels are dense arrays with zeros where weights were inactive, so the
    copy computes the same and needs nothing of this package, neither to
    load nor to export. (A copy that is compiled has Keras' own optimizer for
    that of `dsr_tf.optimizers`. What Keras lacks stays: `l2`, `proximal`,
    `WarmUp`, losses of this package. Where that is not, `compile=False`
    loads the file.) It has no masks: if it is trained further, its zeros
    change. Tied and clustered kernels are written out, and what LoRA adds to
    a masked kernel becomes part of that kernel.

    Args:
        model: A built model with masked, tied or clustered layers.
        inplace: Whether to change `model` itself, and return it. Its
            optimizer then keeps its slots, but where active weights only
            were stored it starts afresh.

    Returns:
        The dense model.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if the model cannot be copied, or has no such layers.
    """
    check_model(model, "strip")
    if not has_sparse_layers(model):
        raise ValueError(
            f"Model '{model.name}' has no masked, tied or clustered "
            "layers: there is nothing to strip."
        )
    dense = prepared(model, "strip", inplace, _Stripping(written_out))
    is_stored = any(
        layer.storage != MASKED
        for layer in dense._flatten_layers()
        if isinstance(layer, Masked)
    )
    unmask_parts(dense)
    if is_stored:
        # Whole kernels are new variables, unknown to the optimizer.
        compile_like(dense, dense)
    if has_sparse_layers(dense):
        raise ValueError(
            f"Model '{model.name}' has tied or clustered layers where "
            "`strip` cannot replace them: in a layer of your own."
        )
    return dense


# The optimizers that differ from Keras' own in files only, unless they are
# given arguments of their own; by the names they are registered with.
_OF_KERAS = {
    f"dsr_tf>{name}": name
    for name, kind in vars(optimizers).items()
    if optimizers.SparseSlots in getattr(kind, "__bases__", ())
}
_ARGUMENTS_OF_ITS_OWN = ("l2", "proximal")


class _Stripping(Converting):
    def compiled(self, config: Any) -> Any:
        return _with_keras_optimizers(config)


def _with_keras_optimizers(config: Any) -> Any:
    """What a model is compiled with, wherever an optimizer stands in it."""
    if isinstance(config, (list, tuple)):
        return type(config)(map(_with_keras_optimizers, config))
    if not isinstance(config, dict):
        return config
    name = _OF_KERAS.get(config.get("registered_name") or "")
    if name is None:
        return {k: _with_keras_optimizers(v) for k, v in config.items()}
    given = dict(config["config"])
    if any(given.pop(argument, None) for argument in _ARGUMENTS_OF_ITS_OWN):
        return config  # Keras has none that makes such updates.
    return {
        "module": "keras.optimizers",
        "class_name": name,
        "config": given,
        "registered_name": None,
    }


def written_out(layer: keras.layers.Layer) -> keras.layers.Layer:
    """A copy of a layer, or the dense kind of one that is tied or clustered."""
    special = isinstance(layer, (Hashed, Clustered))
    if not special or type(layer) not in DENSE_KINDS:
        return copy_layer(layer)
    config = config_of(layer)
    for name in ("sparsity", "seed") if isinstance(layer, Hashed) else ["bits"]:
        config.pop(name, None)
    return DENSE_KINDS[type(layer)].from_config(config)


def stripped(model: keras.Model) -> keras.Model:
    """`strip(model)`, or the model itself where there is nothing to strip."""
    return strip(model) if has_sparse_layers(model) else model


def has_sparse_layers(model: keras.Model) -> bool:
    """Whether a model has masked, tied or clustered layers."""
    return any(
        isinstance(layer, (Masked, Hashed, Clustered))
        for layer in model._flatten_layers()
    )
