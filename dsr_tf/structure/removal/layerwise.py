"""Sets lose their units one after the other, by what examples say."""

from collections.abc import Callable
from collections.abc import Mapping

import keras
import numpy as np
from keras import ops

from dsr_tf.conversion.graph import rebuild
from dsr_tf.structure.graph.channels import ChannelSet
from dsr_tf.structure.graph.channels import Slice
from dsr_tf.structure.graph.structure import Structure
from dsr_tf.structure.removal.narrowing import narrow
from dsr_tf.structure.statistics.windows import has_windows

# Given the structure of a model that may be changed, a set and a number:
# says which units stay, and mends the weights that read them.
Choice = Callable[[Structure, ChannelSet, int], np.ndarray]


def one_by_one(
    model: keras.Model,
    numbers: Mapping[str, int],
    choose: Choice,
    after_each: Callable[[keras.Model], None] | None = None,
) -> keras.Model:
    """Narrow a model set by set, each time as it is by then.

    Args:
        model: A built model, not changed.
        numbers: By name of a set, how many units stay, in the order of the
            sets. One that keeps all is passed over.
        choose: The `Choice`.
        after_each: Function that is called with the narrowed model after
            each set, such as to train it.

    Returns:
        The narrowed model.
    """
    current = rebuild(model)
    for name, number in numbers.items():
        structure = Structure(current)
        found = structure.by_name[name]
        if number < found.num_units:
            keep = {name: choose(structure, found, number)}
            current = narrow(current, keep)
            if after_each is not None:
                after_each(current)
    return current


def why_not_read(found: ChannelSet) -> str:
    """Why nobody can say what units add to the layers that read them."""
    slices = found.with_role("in")
    if not slices:
        return "no layer sums over them"
    for one in slices:
        if not has_windows(one.layer):
            kind = type(one.layer).__name__
            return f"{one.layer.name} of type {kind} reads them"
    return ""


def multiply(one: Slice, factors: np.ndarray) -> None:
    """Multiply the weights of each unit along a slice.

    Args:
        one: The `Slice`.
        factors: Array `(num_units,)`.
    """
    values = ops.convert_to_numpy(one.variable).astype("float64")
    along = np.ones(values.shape[one.axis])
    along[one.positions] = factors[:, None]
    shape = [-1 if axis == one.axis else 1 for axis in range(values.ndim)]
    one.variable.assign(values * along.reshape(shape))
