"""Policies 1 and 4: single connections, by gradient and by magnitude."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from dsr_tf.growth.draft import Draft
from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.methods import grow
from dsr_tf.methods import prune
from dsr_tf.structure import Structure
from dsr_tf.structure.graph.following import Following


def largest_gradients(
    mask: np.ndarray, gradient: np.ndarray, count: int | None, share: float
) -> np.ndarray:
    """The dormant connections that the loss depends on most (policy 1).

    Connections whose gradient is exactly 0, as of units that are dormant and
    of inputs that are always 0, are none that could wake.

    Args:
        mask: Booleans, of the kernel's shape.
        gradient: Array of that shape.
        count: How many; None for a share of them.
        share: That share, in [0, 1).

    Returns:
        Booleans of that shape; fewer where there are not as many. Ties go
        to the first.
    """
    scores = np.abs(gradient[~mask])
    (able,) = np.nonzero(scores)
    count = round(share * able.size) if count is None else count
    chosen = np.zeros(scores.size, "bool")
    best = grow.largest(scores[able], min(count, able.size))
    chosen[able[best]] = True
    places = np.zeros(mask.shape, "bool")
    places[~mask] = chosen
    return places


def smallest(
    draft: Draft, weight: MaskedWeight, count: int, scale: np.ndarray
) -> np.ndarray:
    """Those of a kernel's active weights that count least (policy 4).

    Args:
        draft: The `Draft`.
        weight: The `MaskedWeight`.
        count: How many; the last one stays.
        scale: What output channels are multiplied with afterwards, see
            `scale_of`.

    Returns:
        Booleans of the kernel's shape.
    """
    mask = draft.mask(weight.kernel)
    scores = np.abs(draft.kernel(weight.kernel).astype("float64") * scale)[mask]
    chosen = prune.smallest(scores, count)
    places = np.zeros(mask.shape, "bool")
    places[mask] = prune.keep_last_group(chosen, scores)
    return places


def normalization_of(
    structure: Structure, weight: MaskedWeight
) -> keras.layers.BatchNormalization | None:
    """The batch normalization that alone reads the outputs of a kernel.

    None where there is none, or outputs do not lie along the last axis.
    """
    places = [
        place
        for units in structure.sets
        for place in units.with_role("out")
        if place.variable is weight.kernel
    ]
    last = len(weight.kernel.shape) - 1
    if any(place.axis != last for place in places):
        return None
    return Following(structure).normalization_after(weight.layer)


def scale_of(
    normalization: keras.layers.BatchNormalization | None,
) -> np.ndarray:
    """What batch normalization multiplies each output of a layer with.

    Args:
        normalization: As of `normalization_of`.

    Returns:
        Array `(num_outputs,)`, gamma / sqrt(variance + epsilon); `(1,)` of a
        1 where there is no normalization.
    """
    if normalization is None:
        return np.ones(1)
    variance = ops.convert_to_numpy(normalization.moving_variance)
    scale = 1 / np.sqrt(variance.astype("float64") + normalization.epsilon)
    if normalization.scale:
        scale = scale * ops.convert_to_numpy(normalization.gamma)
    return scale


def wake_largest(
    draft: Draft,
    gradients: Sequence[np.ndarray],
    counts: Sequence[int] | None,
    share: float,
    rates: Sequence[float],
) -> None:
    """Policy 1 on all kernels of a draft.

    Args:
        draft: The `Draft`.
        gradients: The gradient of each kernel.
        counts: How many wake of each; None for a share of them.
        share: That share.
        rates: What a connection starts from, for each kernel, in its
            negative gradient: the learning rate, or 0.
    """
    for number, (weight, gradient) in enumerate(zip(draft.weights, gradients)):
        places = largest_gradients(
            draft.mask(weight.kernel),
            gradient,
            None if counts is None else counts[number],
            share,
        )
        draft.wake(weight.kernel, places, -rates[number] * gradient)
