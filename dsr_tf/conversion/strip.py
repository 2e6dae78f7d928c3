"""`strip`: Keras' own layers from masked or tied ones."""

from dsr_tf.conversion.copying import DENSE_KINDS
from dsr_tf.conversion.copying import rebuild
from dsr_tf.conversion.selection import check_model


def strip(model):
    """A copy of a sparse model made of Keras' own layers.

    Kernels are dense arrays with zeros where weights were inactive, so the
    copy computes the same and needs nothing of this package, neither to
    load nor to export. It does not keep masks: trained on, it fills up.
    Tied kernels are written out.

    Args:
        model: A built Sequential or functional model with masked or tied
            layers.

    Returns:
        The dense model.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if the model cannot be copied or has no such layers.
    """
    check_model(model, "strip")
    if not has_sparse_layers(model):
        raise ValueError(
            f"Model '{model.name}' has no masked or tied layers: there is "
            "nothing to strip."
        )

    def convert(layer):
        config = layer.get_config()
        kind = DENSE_KINDS.get(type(layer))
        if kind is None:
            return type(layer).from_config(config)
        for name in ("sparsity", "granularity", "seed"):
            config.pop(name, None)
        return kind.from_config(config)

    return rebuild(model, convert)


def stripped(model):
    """`strip(model)`, or the model itself where there is nothing to strip."""
    return strip(model) if has_sparse_layers(model) else model


def has_sparse_layers(model):
    """Whether a model has masked or tied layers."""
    return any(type(layer) in DENSE_KINDS for layer in model._flatten_layers())
