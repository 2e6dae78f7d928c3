"""One masked kernel during one reallocation, on the host."""

import numpy as np
from keras import ops

from dsr_tf.reallocation import optimizer_slots
from dsr_tf.reallocation.method import KernelView


class Kernel:
    """The groups of a kernel, and which of them move.

    Making it copies the variables from the device; `look` then works on the
    host alone, so that many kernels can do so at a time.

    Args:
        weight: The `MaskedWeight`.
        dense_gradient: That of the method: whether gradients of inactive
            weights have been accumulated.
        optimizer: The optimizer that holds the slots.

    Attributes:
        active: Indices of the active groups before the step.
        free: Indices of the inactive groups before the step, so that what
            is pruned cannot grow again.
        pruned: Indices of the groups that become inactive.
        grown: Indices of the groups that become active.
    """

    def __init__(self, weight, dense_gradient, optimizer):
        self.weight, self.path = weight, weight.path
        self.group_size = weight.group_size
        self._dense_gradient, self._optimizer = dense_gradient, optimizer
        self._mask = _read(weight.mask).reshape(-1)
        self._weights, self._accumulated = _read(weight.kernel), None
        if dense_gradient != "never":
            # An optimizer without any memory leaves the gradient, times the
            # learning rate, in inactive weights themselves.
            slot = optimizer_slots.accumulated_gradient(
                optimizer, weight.kernel
            )
            self._accumulated = self._weights if slot is None else _read(slot)

    def look(self):
        """Find out what the method will see; returns the kernel."""
        self.active = np.flatnonzero(self._mask)
        self.free = np.flatnonzero(~self._mask)
        self.pruned = self.grown = np.zeros(0, self.active.dtype)
        grouping = self.weight.grouping
        groups = grouping.groups(self._weights)
        self._scores = grouping.scores(groups[self.active])
        self._gradients = None
        if self._accumulated is not None:
            self._gradients = grouping.scores(
                grouping.groups(self._accumulated)
            )
        return self

    def view(self):
        """What the method sees."""
        gradients = self._gradients
        return KernelView(
            self._scores,
            self.free.size,
            self.group_size,
            self.pruned.size,
            None if gradients is None else gradients[self.active],
            None if gradients is None else gradients[self.free],
        )

    def mask(self):
        """The mask after the step, flat."""
        mask = self._mask.copy()
        mask[self.pruned], mask[self.grown] = False, True
        return mask


def _read(variable):
    """The values as an array that must not be changed."""
    return np.asarray(ops.convert_to_tensor(variable))
