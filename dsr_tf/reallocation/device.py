"""Between the host, where reallocation is decided, and the device.

All masked kernels are seen as one long vector of groups. Only what a
decision needs leaves the device (the active weights, a tenth or less of
all), and only the decision goes back: which of them are pruned, and which
of the inactive places grow. So on the device, where there may be a queue of
other work and every exchange costs a wait, a reallocation is two calls.
"""

import keras
import numpy as np
from keras import ops

from dsr_tf.reallocation import optimizer_slots
from dsr_tf.reallocation.kernel import Kernel


class Device:
    """Reads the masked kernels of a model and moves their groups.

    Args:
        masked: List of `MaskedWeight`.
        optimizer: The optimizer that holds the slots.
        dense_gradient: That of the method, see `Method.dense_gradient`.
    """

    def __init__(self, masked, optimizer, dense_gradient="never"):
        self.optimizer = optimizer
        self._masked, self._dense_gradient = masked, dense_gradient
        self._sizes = [weight.grouping.num_groups for weight in masked]
        self._read, self._move = self._read_all, self._move_all
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            self._read = tf.function(self._read_all)
            self._move = tf.function(
                self._move_all,
                input_signature=[
                    tf.TensorSpec([None], "bool"),
                    tf.TensorSpec([None], "int64"),
                ],
            )

    def read(self):
        """The kernels as they are, a list of `Kernel`."""
        counts, scores, active, free = (
            None if values is None else ops.convert_to_numpy(values)
            for values in self._read()
        )
        num_free = np.array(self._sizes) - counts
        return [
            Kernel(weight, *parts)
            for weight, *parts in zip(
                self._masked,
                _parts(scores, counts),
                num_free.tolist(),
                _parts(active, counts),
                _parts(free, num_free),
            )
        ]

    def move(self, kernels):
        """Store new masks; moved weights and their slots start afresh.

        Where gradients of inactive weights were let through, those weights
        are set back to 0 as well, and their slots too unless the method
        goes on accumulating them.

        Args:
            kernels: What `read` returned, with `pruned` and `grown` set.
        """
        first_free = np.cumsum([0] + [k.num_free for k in kernels])
        grown = [k.grown + first for k, first in zip(kernels, first_free)]
        self._move(
            ops.convert_to_tensor(np.concatenate([k.pruned for k in kernels])),
            ops.convert_to_tensor(np.concatenate(grown).astype("int64")),
        )

    def _read_all(self):
        mask = self._flat_mask()
        active = ops.nonzero(mask)[0]
        scores = ops.concatenate(
            [w.grouping.scores_of(w.kernel) for w in self._masked]
        )
        counts = ops.stack(
            [ops.sum(ops.cast(w.mask, "int32")) for w in self._masked]
        )
        if self._dense_gradient == "never":
            return counts, ops.take(scores, active), None, None
        free = ops.nonzero(ops.logical_not(mask))[0]
        gradients = ops.concatenate(
            [
                w.grouping.scores_of(self._accumulated(w.kernel))
                for w in self._masked
            ]
        )
        return (
            counts,
            ops.take(scores, active),
            ops.take(gradients, active),
            ops.take(gradients, free),
        )

    def _accumulated(self, kernel):
        # An optimizer without any memory leaves the gradient, times the
        # learning rate, in inactive weights themselves.
        slot = optimizer_slots.accumulated_gradient(self.optimizer, kernel)
        return kernel if slot is None else slot

    def _move_all(self, pruned, grown):
        mask = self._flat_mask()
        active = ops.nonzero(mask)[0]
        free = ops.nonzero(ops.logical_not(mask))[0]
        places = ops.concatenate(
            [ops.take(active, ops.nonzero(pruned)[0]), ops.take(free, grown)]
        )
        moved = ops.scatter(
            ops.expand_dims(places, 1),
            ops.ones_like(places, "float32"),
            (sum(self._sizes),),
        )
        moved = ops.split(moved > 0, np.cumsum(self._sizes)[:-1].tolist())
        for weight, part in zip(self._masked, moved):
            self._move_one(weight, ops.reshape(part, weight.mask.shape))

    def _move_one(self, weight, moved):
        mask = ops.logical_xor(ops.convert_to_tensor(weight.mask), moved)
        stale = moved
        if self._dense_gradient != "never":
            # Gradients were let through to all inactive weights.
            stale = ops.logical_or(moved, ops.logical_not(mask))
        # Or is such a gradient still to be accumulated?
        reset = moved if self._dense_gradient == "always" else stale
        weight.mask.assign(mask)
        _start_afresh(weight, weight.kernel, stale, 0)
        for slot, fresh in optimizer_slots.slots(self.optimizer, weight.kernel):
            _start_afresh(weight, slot, reset, fresh)

    def _flat_mask(self):
        return ops.concatenate(
            [ops.reshape(weight.mask, (-1,)) for weight in self._masked]
        )


def _start_afresh(weight, variable, places, fresh):
    values = ops.convert_to_tensor(variable)
    places = weight.grouping.spread(places)
    variable.assign(ops.where(places, ops.cast(fresh, values.dtype), values))


def _parts(values, counts):
    """`values` cut into pieces of these lengths, or Nones."""
    if values is None:
        return [None] * len(counts)
    return np.split(values, np.cumsum(counts)[:-1])
