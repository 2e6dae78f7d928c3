"""Copies of models, of their weights and of their masks."""

import keras
from keras import ops

from dsr_tf.layers import HASHED_KINDS
from dsr_tf.layers import MASKED_KINDS
from dsr_tf.layers import masked_weights

# Masked or tied kind -> Keras' layer.
DENSE_KINDS = {
    special: dense
    for kinds in (MASKED_KINDS, HASHED_KINDS)
    for dense, special in kinds.items()
}


def rebuild(model, convert):
    """Copy a model with each of its innermost layers converted."""
    copy = keras.models.clone_model(
        model, clone_function=convert, recursive=True
    )
    copy_weights(model, copy)
    return copy


def copy_weights(source, target):
    """Copy all weights between models whose layers are of like shapes.

    Kernels are copied as the forward pass reads them, so from one kind of
    layer to another.
    """
    if isinstance(source, keras.Model):
        for old, new in zip(source.layers, target.layers, strict=True):
            copy_weights(old, new)
    elif type(source) is type(target):
        target.set_weights(source.get_weights())
    else:
        name = getattr(source, "_weight_name", None) or getattr(
            target, "_weight_name", "kernel"
        )
        kernel = ops.convert_to_numpy(getattr(source, name))
        if type(target) in DENSE_KINDS:
            target.set_kernel(kernel)
        else:
            getattr(target, f"_{name}", getattr(target, name)).assign(kernel)
        if getattr(target, "bias", None) is not None:
            target.bias.assign(ops.convert_to_numpy(source.bias))


def copy_masks(source, target):
    """Give the kernels of `target` the masks of `source`, of equal layers.

    Weights that become inactive are set to 0; others stay as they are.

    Raises:
        ValueError: if the masked kernels of the two differ in path, or
            their masks in shape.
    """
    ours, theirs = (
        {weight.path: weight for weight in masked_weights(model)}
        for model in (target, source)
    )
    shapes, others = (
        {path: tuple(weight.mask.shape) for path, weight in weights.items()}
        for weights in (ours, theirs)
    )
    if shapes != others:
        raise ValueError(
            "Masks can be copied between models with the same masked "
            f"kernels and granularity only. Received: masks {others} for a "
            f"model with {shapes}"
        )
    for path, weight in ours.items():
        weight.set_mask(ops.convert_to_numpy(theirs[path].mask))
