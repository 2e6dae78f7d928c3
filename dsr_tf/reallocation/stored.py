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
from dsr_tf.methods.hook import InStepHook
from dsr_tf.methods.method import Method
from dsr_tf.reallocation.device import NotFinite
from dsr_tf.reallocation.kernel import Kernel


def check_hook(
    hook: InStepHook, method: Method, moving: list[MaskedWeight]
) -> None:
    """Refuse kernels whose inactive weights a method would have to see.

    Raises:
        ValueError: if there is one.
    """
    stored = [weight for weight in moving if weight.variable.is_stored]
    if stored and hook.why_not_stored is not None:
        raise ValueError(
            f"{type(method).__name__} {hook.why_not_stored}, and "
            f"{stored[0].path} stores its active weights only: use a method "
            "that does not, such as DSR, SET or RigL, or store whole kernels. "
            f"Received: storage={stored[0].layer.storage!r}"
        )


def read(
    weight: MaskedWeight,
    optimizer: keras.optimizers.Optimizer,
    gathers_gradients: bool,
) -> Kernel:
    """A kernel as it is.

    Args:
        weight: The `MaskedWeight`.
        optimizer: The optimizer that holds the slots.
        gathers_gradients: That of the `InStepHook`, which has found free
            groups that can grow.

    Raises:
        NotFinite: if weights, slots or gradients are NaN or infinite.
    """
    variable = weight.variable
    assert isinstance(variable, StoredVariable)
    places = variable.places()
    num_free = weight.grouping.num_groups - len(places)
    scores = _scores(weight, variable.groups(), "weights")
    if not gathers_gradients:
        return Kernel(weight, places, scores, num_free, 0)
    slot = optimizer_slots.accumulated_gradient(optimizer, weight.kernel)
    found = variable.candidates.read()
    assert found is not None
    free, gradients = found.places(weight.grouping)
    _check_finite(gradients, weight, "gradients")
    return Kernel(
        weight,
        places,
        scores,
        num_free,
        0,
        _scores(
            weight, variable.groups_of(weight.kernel if slot is None else slot)
        ),
        gradients,
        free - np.searchsorted(places, free),
    )


def _scores(
    weight: MaskedWeight, groups: np.ndarray, what: str = "slots"
) -> np.ndarray:
    """As the scores of masked kernels, so that both choose alike."""
    magnitudes = ops.abs(ops.cast(ops.convert_to_tensor(groups), "float32"))
    scores = ops.convert_to_numpy(ops.mean(magnitudes, axis=1))
    _check_finite(scores, weight, what)
    return scores


def _check_finite(values: np.ndarray, weight: MaskedWeight, what: str) -> None:
    if not np.isfinite(values).all():
        raise NotFinite(
            f"the {what} of {weight.path} hold numbers that are not finite: "
            "nothing can be moved by them"
        )


def move(kernel: Kernel, optimizer: keras.optimizers.Optimizer) -> None:
    """Store other groups; those that have moved, and their slots, start
    afresh.

    Args:
        kernel: What `read` returned, with `pruned` and `grown` set.
        optimizer: The optimizer that holds the slots.
    """
    grown = kernel.moves.grown
    if not len(grown) and not kernel.pruned.any():
        return
    variable = kernel.weight.variable
    assert isinstance(variable, StoredVariable)
    stay = kernel.active[~kernel.pruned]
    variable.move(
        np.sort(np.concatenate([stay, grown])),
        optimizer_slots.slots(optimizer, kernel.weight.kernel),
    )
    if kernel.start_values is not None:
        places, groups = variable.places(), variable.groups()
        groups[np.searchsorted(places, grown)] = kernel.start_values[:, None]
        variable.assign(places, groups)
