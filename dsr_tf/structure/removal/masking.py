"""`mask`: a model in which some channels are zeros."""

import keras
import numpy as np
from keras import ops

from dsr_tf.conversion.graph import rebuild
from dsr_tf.conversion.selection import check_model
from dsr_tf.structure.graph.structure import Keep
from dsr_tf.structure.graph.structure import structure_for


def mask(model: keras.Model, keep: Keep) -> keras.Model:
    """A copy of a model of the same size, in which some channels are zeros.

    All that belongs to a unit is 0: what makes it, what normalizes it,
    gamma and beta, and what reads it. It is what `narrow` makes smaller, to
    look at or to train further. (Zeros of kernels without masks change when
    trained; and where a model divides by channels or takes their logarithm,
    only `narrow` gives numbers.)

    Args:
        model: A built functional or Sequential model, not changed.
        keep: As of `narrow`.

    Returns:
        The copy, compiled as the model is.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if `keep` does not fit it, or it cannot be copied.
    """
    check_model(model, "mask")
    structure_for(model, keep).check(keep)
    copy = rebuild(model)
    structure = structure_for(copy, keep)
    weights = structure.trace.weights
    for key, axes in structure.cuts(keep).items():
        roles = weights[key].axes
        values = np.array(ops.convert_to_numpy(weights[key].variable))
        for axis, stays in axes.items():
            if roles[axis][0] != "statistic":
                values[(slice(None),) * axis + (~stays,)] = 0
        weights[key].variable.assign(values)
    return copy
