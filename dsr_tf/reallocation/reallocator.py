"""One reallocation on a model: prune, redistribute, grow, exactly.

Everything happens in numpy on the host. A reallocation is rare and touches
few weights of each kernel, which suits index lists better than compiled
graphs whose shapes would change each time; and numpy draws are the same on
every backend, replica and worker.
"""

import dataclasses

import numpy as np
from keras import ops

from dsr_tf import draws
from dsr_tf.layers import masked_weights
from dsr_tf.reallocation import optimizer_slots
from dsr_tf.reallocation import prune
from dsr_tf.reallocation.methods import KernelView
from dsr_tf.reallocation.state import ReallocationState


@dataclasses.dataclass(frozen=True)
class Record:
    """What one reallocation did; counts are weights.

    Attributes:
        step: `optimizer.iterations` when it happened.
        threshold: Magnitude below which weights were pruned, or None.
        pruned: Weights pruned, by path of the kernel.
        grown: Weights grown, by path of the kernel.
        active: Active weights afterwards, by path of the kernel.
        carry: Weights of the budget left over, see `ReallocationState`.
    """

    step: int
    threshold: float | None
    pruned: dict
    grown: dict
    active: dict
    carry: int

    @property
    def num_pruned(self):
        return sum(self.pruned.values())

    @property
    def num_grown(self):
        return sum(self.grown.values())

    @property
    def num_active(self):
        return sum(self.active.values())


class Reallocator:
    """Moves the active weights of a model by a method.

    Args:
        model: A built Keras model with masked layers.
        method: A `dsr_tf.reallocation.methods.Method`.

    Raises:
        ValueError: if the model has no masked layers.
    """

    def __init__(self, model, method):
        self.masked = masked_weights(model)
        if not self.masked:
            raise ValueError(
                f"Model '{model.name}' has no masked layers. Build it with "
                "layers of `dsr_tf.layers`, or use `dsr_tf.sparsify(model, "
                "sparsity)`."
            )
        self.method = method

    def check(self, optimizer):
        """Refuse what cannot be reallocated, before training.

        Raises:
            ValueError: if there are too few active weights for the method,
                or the optimizer would not leave inactive weights at 0.
        """
        self.method.validate(sum(weight.num_active for weight in self.masked))
        optimizer_slots.check_optimizer(
            optimizer, [weight.kernel for weight in self.masked]
        )

    def read_state(self):
        return ReallocationState.read(self.masked)

    def write_state(self, state):
        state.write(self.masked)

    def step(self, optimizer, step, state=None):
        """Reallocate once.

        Args:
            optimizer: The optimizer whose slots belong to the weights.
            step: Number of updates so far, for the state and the record.
            state: The `ReallocationState`, if it has just been read.

        Returns:
            A `Record`.
        """
        state = state or self.read_state()
        threshold = self.method.threshold(state)
        kernels = [_Kernel(weight) for weight in self.masked]
        budget = state.carry + sum(
            kernel.active.size * kernel.group_size for kernel in kernels
        )

        self._prune(kernels, state)
        self._grow(kernels, state)

        active = {kernel.path: kernel.move() for kernel in kernels}
        state.carry = budget - sum(active.values())
        self._check_carry(state.carry, kernels)
        for kernel in kernels:
            kernel.write(optimizer)
        state.num_reallocations += 1
        state.last_step = step
        self.write_state(state)
        return Record(
            step=step,
            threshold=threshold,
            pruned={k.path: k.pruned.size * k.group_size for k in kernels},
            grown={k.path: k.grown.size * k.group_size for k in kernels},
            active=active,
            carry=state.carry,
        )

    def _check_carry(self, carry, kernels):
        largest = max(kernel.group_size for kernel in kernels)
        if not 0 <= carry < largest:
            raise RuntimeError(
                f"{self.method} broke the budget of active weights: "
                f"{carry} weights were pruned and not grown, where from 0 "
                f"to {largest - 1} can be carried over."
            )

    def _prune(self, kernels, state):
        views = [kernel.view() for kernel in kernels]
        chosen = self.method.prune(views, state)
        num_below = sum(
            int(np.count_nonzero(c)) * kernel.group_size
            for c, kernel in zip(chosen, kernels)
        )
        chosen = [
            prune.keep_last_group(c, view.scores)
            for c, view in zip(chosen, views)
        ]
        num_free = sum(k.free.size * k.group_size for k in kernels)
        chosen = prune.limit_weights(
            chosen,
            [view.scores for view in views],
            [kernel.group_size for kernel in kernels],
            max(0, num_free - state.carry),
        )
        for kernel, pruned in zip(kernels, chosen):
            kernel.pruned = kernel.active[pruned]
        self.method.update(state, num_below)

    def _grow(self, kernels, state):
        total = state.carry + sum(k.pruned.size * k.group_size for k in kernels)
        views = [kernel.view() for kernel in kernels]
        counts = self.method.redistribute(total, views)
        for stream, (kernel, view, count) in enumerate(
            zip(kernels, views, counts)
        ):
            if count:
                generator = draws.generator(
                    state.seed or 0, state.num_reallocations + 1, stream
                )
                indices = self.method.grow(view, count, generator)
                kernel.grown = kernel.free[indices]


class _Kernel:
    """One masked kernel during one reallocation, read to the host.

    `active`, `free`, `pruned` and `grown` are indices of groups; `free` are
    those inactive before the step, so what is pruned cannot grow again.
    """

    def __init__(self, weight):
        self.weight, self.path = weight, weight.path
        self.group_size = weight.group_size
        self.mask = ops.convert_to_numpy(weight.mask).reshape(-1)
        self.active = np.flatnonzero(self.mask)
        self.free = np.flatnonzero(~self.mask)
        self.pruned = self.grown = np.zeros(0, self.active.dtype)
        self.groups = self._read(weight.kernel)
        self.scores = weight.grouping.scores(self.groups[self.active])

    def view(self):
        return KernelView(
            self.scores, self.free.size, self.group_size, self.pruned.size
        )

    def move(self):
        """Change the mask on the host; returns its active weights."""
        self.mask[self.pruned], self.mask[self.grown] = False, True
        return int(np.count_nonzero(self.mask)) * self.group_size

    def write(self, optimizer):
        """Store the new mask; moved weights and their slots start afresh."""
        if not self.pruned.size and not self.grown.size:
            return
        moved = np.concatenate([self.pruned, self.grown])
        self.weight.mask.assign(self.mask.reshape(self.weight.mask.shape))
        self._write(self.weight.kernel, self.groups, moved, 0)
        for slot, fresh in optimizer_slots.slots(optimizer, self.weight.kernel):
            self._write(slot, self._read(slot), moved, fresh)

    def _read(self, variable):
        # A copy on every backend, so it may be changed in place.
        values = ops.convert_to_numpy(variable)
        return self.weight.grouping.groups(values)

    def _write(self, variable, groups, moved, fresh):
        groups[moved] = fresh
        variable.assign(self.weight.grouping.ungroup(groups))
