"""The masks of a model, cut as its kernels are."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from absl import logging
from keras import ops

from dsr_tf.core.granularity import DoesNotFit
from dsr_tf.core.grouping import Grouping
from dsr_tf.layers.in_place import mask_layer
from dsr_tf.layers.in_place import unmask_layer
from dsr_tf.layers.masked_weights import layers_with_paths
from dsr_tf.layers.parts import mask_parts


def mask_like(
    model: keras.Model,
    dense: keras.Model,
    narrowed: keras.Model,
    cuts: Mapping[int, Any],
) -> None:
    """Mask the layers of a narrowed model as they were in the larger one.

    Args:
        model: The model with masks.
        dense: A copy of it without them.
        narrowed: What was made of the copy; it is masked in place.
        cuts: What stayed along axes of variables of the copy, by identity.
    """
    masked = {
        path: layer
        for layer, path in layers_with_paths(model)
        if getattr(layer, "masked_variables", None)
    }
    before = {path: layer for layer, path in layers_with_paths(dense)}

    def visit(layer: Any, path: str, axes: dict[str, int] | None) -> bool:
        if path not in masked:
            return False
        old = masked[path]
        masks = {
            name: _cut_mask(weight, cuts.get(id(_variable(before[path], name))))
            for name, weight in old.masked_variables.items()
        }
        granularity = old.granularity.name
        if not _mask(layer, granularity, old.seed, axes, masks):
            logging.warning(
                "Layer '%s' has masks of granularity element now: what is "
                "left of it is not made of groups of %s",
                path,
                granularity,
            )
            mask_layer(layer, 0.0, "element", old.seed, axes, draw=False)
        for name, mask in masks.items():
            weight = layer.masked_variables[name]
            groups = weight.grouping.groups(mask)
            weight.set_mask(groups.any(axis=1))
        return True

    mask_parts(narrowed, visit)


def _mask(
    layer: Any,
    granularity: str,
    seed: int | None,
    head_axes: dict[str, int] | None,
    masks: Mapping[str, np.ndarray],
) -> bool:
    """Mask a layer if its masks are made of groups of a granularity."""
    try:
        mask_layer(layer, 0.0, granularity, seed, head_axes, draw=False)
    except DoesNotFit:
        return False
    groupings = {n: w.grouping for n, w in layer.masked_variables.items()}
    if all(_is_of_groups(groupings[name], masks[name]) for name in masks):
        return True
    unmask_layer(layer)
    return False


def _variable(layer: Any, name: str) -> keras.Variable:
    (found,) = (v for v in layer.variables if v.name == name)
    return found


def _cut_mask(weight: Any, axes: Mapping[int, np.ndarray] | None) -> np.ndarray:
    """The mask of what is left of a kernel, a bool for each weight."""
    mask = ops.convert_to_numpy(weight.grouping.spread(weight.mask))
    mask = np.broadcast_to(mask, weight.grouping.kernel_shape)
    for axis, stays in (axes or {}).items():
        mask = np.compress(stays, mask, axis=axis)
    return np.array(mask)


def _is_of_groups(grouping: Grouping, mask: np.ndarray) -> bool:
    """Whether a mask of weights is one of groups, and of their pattern."""
    groups = grouping.groups(mask)
    if (groups.any(axis=1) != groups.all(axis=1)).any():
        return False
    try:
        grouping.check_mask(groups[:, 0].reshape(grouping.mask_shape))
    except ValueError:
        return False
    return True
