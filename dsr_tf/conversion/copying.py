"""Weights and masks, from one model to another."""

from collections.abc import Iterator

import keras

from dsr_tf.conversion.selection import first_few
from dsr_tf.conversion.state import Transfer
from dsr_tf.layers import MaskedWeight
from dsr_tf.layers import masked_weights


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copy the states of all layers between models of equal layers.

    Kernels are copied as the forward pass reads them, so a layer may be
    dense in one model and masked in the other. Each model keeps its own
    penalties and constraints.

    Raises:
        ValueError: if two layers that belong together differ in shape.
    """
    transfer = Transfer(may_differ=("_regularizer", "_constraint"))
    for old, new in _pairs(source, target):
        transfer.copy(old, new)


def _pairs(
    source: keras.layers.Layer, target: keras.layers.Layer
) -> Iterator[tuple[keras.layers.Layer, keras.layers.Layer]]:
    if isinstance(source, keras.Model) and isinstance(target, keras.Model):
        for old, new in zip(source.layers, target.layers, strict=True):
            yield from _pairs(old, new)
    elif type(source) is type(target) is keras.layers.TimeDistributed:
        yield from _pairs(source.layer, target.layer)
    else:
        yield source, target


def copy_masks(source: keras.Model, target: keras.Model) -> None:
    """Give the kernels of `target` the masks of `source`.

    Both models have the same layers.

    Weights that become inactive are set to 0; others stay as they are.

    Raises:
        ValueError: if the masked kernels of the two differ in path, or
            their masks in shape or in N:M.
    """
    ours, theirs = (
        {weight.path: weight for weight in masked_weights(model)}
        for model in (target, source)
    )
    shapes, others = (
        {path: _form_of(weight) for path, weight in weights.items()}
        for weights in (ours, theirs)
    )
    differing = [
        f"{path}: {others.get(path, 'no mask')} for "
        f"{shapes.get(path, 'no mask')}"
        for path in {**shapes, **others}
        if shapes.get(path) != others.get(path)
    ]
    if differing:
        raise ValueError(
            "Masks can be copied between models with the same masked "
            "kernels and granularity only. Received: masks of "
            f"{'; '.join(first_few(differing))}"
        )
    for path, weight in ours.items():
        places = theirs[path].variable.places()
        weight.set_mask(weight.grouping.mask_of(places))


def _form_of(weight: MaskedWeight) -> str:
    """What two masks must have in common, to be named in a message."""
    shape = str(weight.grouping.mask_shape)
    if weight.grouping.pattern is None:
        return shape
    return f"{shape} of {weight.granularity}"
