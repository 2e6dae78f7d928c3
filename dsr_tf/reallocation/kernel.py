"""One masked kernel during one reallocation, on the host."""

import numpy as np
from keras import ops

from dsr_tf.reallocation import optimizer_slots
from dsr_tf.reallocation.method import KernelView


class Kernel:
    """The groups of a kernel, and which of them move.

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
        self._mask = ops.convert_to_numpy(weight.mask).reshape(-1)
        self.active = np.flatnonzero(self._mask)
        self.free = np.flatnonzero(~self._mask)
        self.pruned = self.grown = np.zeros(0, self.active.dtype)
        self._groups = self._read(weight.kernel)
        scores = weight.grouping.scores
        self._scores = scores(self._groups[self.active])
        self._gradients = None
        if dense_gradient != "never":
            # An optimizer without any memory leaves the gradient, times the
            # learning rate, in inactive weights themselves.
            slot = optimizer_slots.accumulated_gradient(
                optimizer, weight.kernel
            )
            gradients = self._groups if slot is None else self._read(slot)
            self._gradients = scores(gradients)

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

    def move(self):
        """Change the mask on the host; returns its active weights."""
        self._mask[self.pruned], self._mask[self.grown] = False, True
        return int(np.count_nonzero(self._mask)) * self.group_size

    def write(self):
        """Store the new mask; moved weights and their slots start afresh.

        Where gradients of inactive weights were let through, those weights
        are set back to 0 as well, and their slots too unless the method
        goes on accumulating them.
        """
        moved = stale = np.concatenate([self.pruned, self.grown])
        if self._dense_gradient != "never":
            is_stale = ~self._mask
            is_stale[moved] = True
            stale = np.flatnonzero(is_stale)
        if not stale.size:
            return
        if moved.size:
            mask = self._mask.reshape(self.weight.mask.shape)
            self.weight.mask.assign(mask)
        self._write(self.weight.kernel, self._groups, stale, 0)
        reset = moved if self._dense_gradient == "always" else stale
        for slot, fresh in optimizer_slots.slots(
            self._optimizer, self.weight.kernel
        ):
            self._write(slot, self._read(slot), reset, fresh)

    def _read(self, variable):
        # A copy on every backend, so it may be changed in place.
        values = ops.convert_to_numpy(variable)
        return self.weight.grouping.groups(values)

    def _write(self, variable, groups, indices, fresh):
        groups[indices] = fresh
        variable.assign(self.weight.grouping.ungroup(groups))
