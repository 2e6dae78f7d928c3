"""Kernels of which only active groups are stored, during a reallocation.

All is on the host: what is read are the active groups, and what is written
are variables that have room for little more. No array has an entry for each
group of the kernel, but where there are few groups (blocks).
"""

import keras
import numpy as np
from keras import ops

from dsr_tf.core import optimizer_slots
from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.layers.storages import StoredVariable
from dsr_tf.reallocation.device import NotFinite
from dsr_tf.reallocation.device import places_of_free
from dsr_tf.reallocation.kernel import Kernel


def read(weight: MaskedWeight) -> Kernel:
    """A kernel as it is.

    Raises:
        NotFinite: if weights are NaN or infinite.
    """
    places = weight.variable.places()
    # As the scores of masked kernels, so that both choose alike.
    groups = ops.convert_to_tensor(weight.variable.groups())
    magnitudes = ops.abs(ops.cast(groups, "float32"))
    scores = ops.convert_to_numpy(ops.mean(magnitudes, axis=1))
    if not np.isfinite(scores).all():
        raise NotFinite(
            f"the weights of {weight.path} hold numbers that are not finite: "
            "nothing can be moved by them"
        )
    num_free = weight.grouping.num_groups - len(places)
    return Kernel(weight, places, scores, num_free, 0)


def move(kernel: Kernel, optimizer: keras.optimizers.Optimizer) -> None:
    """Store other groups; those that have moved, and their slots, start
    afresh.

    Args:
        kernel: What `read` returned, with `pruned` and `grown` set.
        optimizer: The optimizer that holds the slots.
    """
    grown = places_of_free(kernel.grown, kernel.active)
    if not len(grown) and not kernel.pruned.any():
        return
    variable = kernel.weight.variable
    assert isinstance(variable, StoredVariable)
    stay = kernel.active[~kernel.pruned]
    variable.move(
        np.sort(np.concatenate([stay, grown])),
        optimizer_slots.slots(optimizer, kernel.weight.kernel),
    )
