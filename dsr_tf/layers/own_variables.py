"""A sparse layer's own variables in files: active weights, state, the rest.

Keras stores each variable of a layer as it is. Here of sparse weights only
the active ones are stored, with their places, see `SparseVariable.save`, and
of the numbers that callbacks keep those that are not 0, see `kept_state`.
"""

from typing import TYPE_CHECKING
from typing import Any

import keras
import numpy as np

from dsr_tf.layers import kept_state

if TYPE_CHECKING:
    from dsr_tf.layers.masked import Masked


def save(layer: "Masked", store: Any) -> None:
    """Store them in a mapping that takes arrays and variables."""
    for weight in layer.masked_variables.values():
        weight.save(store)
    kept_state.save(layer, store)
    for variable in plain(layer):
        store[variable.name] = variable


def load(layer: "Masked", store: Any) -> None:
    """Load what `save` stored.

    Files of before load as well: those with one variable of state, and
    those with whole kernels and masks.

    Raises:
        ValueError: if the file holds a layer without a mask, other
            variables than this layer has, or is damaged.
    """
    weights = layer.masked_variables.values()
    found = set(store.keys())
    # What a reallocation to come needs may be there or not.
    found -= {name for w in weights for name in w.candidate_names}
    others = {variable.name for variable in plain(layer)}
    packed = others.union(*(weight.stored_names for weight in weights))
    whole = others | {n for w in weights for n in (w.kernel.name, w.mask_name)}
    if found in (packed | {key} for key in kept_state.KEYS):
        values = [weight.read(store) for weight in weights]
    elif found == whole | {kept_state.OLD_NAME}:
        values = [_read_whole(weight, store) for weight in weights]
    else:
        raise ValueError(
            f"Layer '{layer.name}' ({type(layer).__name__}) stores the "
            f"variables {sorted(packed | {kept_state.KEY})}, but the file "
            f"holds {sorted(found)} for it: it was saved from another "
            "layer, perhaps a dense one without a mask. Use "
            "`dsr_tf.sparsify` on the dense model instead."
        )
    state = kept_state.read(layer, store)
    for weight, (places, groups) in zip(weights, values):
        weight.assign(places, groups)
        weight.read_candidates(store)
    kept_state.assign(layer, state)
    for variable in plain(layer):
        variable.assign(store[variable.name])


def plain(layer: "Masked") -> list[keras.Variable]:
    """The layer's own variables but those that sparsity has changed."""
    packed = {id(variable) for variable in layer.state_variables}
    for weight in layer.masked_variables.values():
        packed |= {id(variable) for variable in (weight.kernel, *weight.unread)}
    own = layer._trainable_variables + layer._non_trainable_variables
    return [variable for variable in own if id(variable) not in packed]


def _read_whole(weight: Any, store: Any) -> tuple[np.ndarray, np.ndarray]:
    """What a file of before holds of a weight, see `SparseVariable.read`."""
    grouping = weight.grouping
    kernel = np.asarray(store[weight.kernel.name])
    mask = np.asarray(store[weight.mask_name])
    shapes = kernel.shape, mask.shape
    if shapes != (grouping.kernel_shape, grouping.mask_shape):
        raise ValueError(
            f"Layer '{weight.layer.name}' has a {weight.name} of shape "
            f"{grouping.kernel_shape} and a mask of {grouping.mask_shape}, "
            f"but those in the file are of {shapes[0]} and {shapes[1]}."
        )
    places = np.flatnonzero(mask)
    with weight.reading_places():
        grouping.check_places(places)
    return places, grouping.groups(kernel)[places]
