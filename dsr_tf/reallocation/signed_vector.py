"""DeepR's moves in one step, on all kernels as one vector of weights."""

import math

import numpy as np
from keras import ops

from dsr_tf.reallocation import optimizer_slots
from dsr_tf.reallocation.hashing import hash_of
from dsr_tf.reallocation.hashing import mix
from dsr_tf.reallocation.hashing import noise
from dsr_tf.reallocation.hashing import uniform
from dsr_tf.reallocation.state import LAYER_COUNT
from dsr_tf.reallocation.state import seed_in_graph
from dsr_tf.reallocation.state import window_is_open

# A weight that is grown starts this far from 0, on the side of its sign, so
# that the weight alone tells its sign. It is far below any trained weight.
GROWN = 1e-7

# Candidates for growth that are drawn in a step, as a share of the active
# weights. Should more weights break their sign than there are free ones
# among the candidates, all of these start afresh where they are: the budget
# stays exact, and no sum over all positions is needed.
_CANDIDATES = 0.125


class SignedVector:
    """The kernels that one optimizer updates, as one vector of weights.

    Args:
        weights: List of `MaskedWeight`, the last of them updated last.
        optimizer: The model's optimizer.
        state: The variable of the `ReallocationState`.
        temperature: `tf.Variable`.
        l1: The method's.
    """

    def __init__(self, weights, optimizer, state, temperature, l1):
        import tensorflow as tf

        order = optimizer_slots.leaf_of(optimizer, weights[0].kernel)
        order = order._trainable_variables_indices
        self.weights = sorted(
            weights, key=lambda w: order[optimizer._var_key(w.kernel)]
        )
        self._optimizer, self._state = optimizer, state
        self._temperature, self._l1 = temperature, l1
        self._sizes = [weight.size for weight in self.weights]
        # What the active weights' signs are follows from the weights
        # whenever a step is complete, so it needs no saving.
        self._positive = tf.Variable(tf.fill([sum(self._sizes)], False))
        numbers = [
            math.ceil(_CANDIDATES * weight.num_active)
            for weight in self.weights
        ]
        # For each candidate: its kernel, where that begins, and its size.
        self._kernel_of = np.repeat(np.arange(len(numbers)), numbers)
        starts = np.cumsum([0, *self._sizes[:-1]])
        self._start_of = starts[self._kernel_of].astype("int32")
        self._size_of = np.array(self._sizes, "int32")[self._kernel_of]
        self._last_candidates = np.cumsum(numbers) - 1

    def read_signs(self):
        """Give every active weight the sign that it has."""
        kernels = [
            ops.convert_to_numpy(weight.kernel).reshape(-1)
            for weight in self.weights
        ]
        self._positive.assign(np.concatenate(kernels) > 0)

    def move(self, last):
        """Move what broke its sign, in the window of the method.

        Args:
            last: Tensor, the last kernel as it has been updated; those
                before it are in their variables.

        Returns:
            What the last kernel becomes; the others are assigned.
        """
        import tensorflow as tf

        step = ops.convert_to_tensor(self._optimizer.iterations)
        return tf.cond(
            window_is_open(self._state, step),
            lambda: self._move(last, step),
            lambda: last,
        )

    def _move(self, last, step):
        import tensorflow as tf

        key = self._key(step)
        kernels = [ops.convert_to_tensor(w.kernel) for w in self.weights[:-1]]
        weights = tf.cast(_flat([*kernels, last]), "float32")
        mask = _flat([ops.convert_to_tensor(w.mask) for w in self.weights])
        sign = tf.where(self._positive, 1.0, -1.0)

        walked = weights + self._walk(sign, key)
        flipped = mask & (walked * sign <= 0)
        grown, num_grown = self._draw(mask, flipped, key)
        can_move = tf.concat(
            [
                tf.fill([size], number > 0)
                for size, number in zip(self._sizes, num_grown)
            ],
            axis=0,
        )
        pruned = flipped & can_move
        started = grown | (flipped & ~can_move)
        mask = (mask | grown) & ~pruned

        bits = hash_of(tf.range(sum(self._sizes)), key + np.uint32(1))
        positive = tf.where(started, bits % 2 == 0, self._positive)
        weights = tf.where(started, tf.where(positive, GROWN, -GROWN), walked)
        weights = tf.where(mask, weights, 0.0)
        self._positive.assign(positive)
        return self._store(weights, mask, started | pruned, num_grown, last)

    def _walk(self, sign, key):
        """Noise and the pull towards 0 for every position."""
        import tensorflow as tf

        leaf = optimizer_slots.leaf_of(self._optimizer, self.weights[0].kernel)
        rate = tf.cast(leaf.learning_rate, "float32")
        scale = tf.sqrt(2 * rate * self._temperature)
        walk = scale * noise(hash_of(tf.range(sum(self._sizes)), key))
        return walk - rate * self._l1 * sign

    def _draw(self, mask, flipped, key):
        """In each kernel as many free positions as weights flipped, or none.

        Candidates are drawn with replacement; the first ones that are free
        and have not come before are taken, so every set of free positions
        is as likely as any other.

        Returns:
            Booleans, True where a weight grows, and the number of these in
            each kernel, a list.
        """
        import tensorflow as tf

        total = len(self._kernel_of)
        order = tf.range(total)
        part = uniform(hash_of(order, key + np.uint32(2)))
        within = tf.cast(part * tf.cast(self._size_of, "float32"), "int32")
        drawn = self._start_of + tf.minimum(within, self._size_of - 1)
        first = tf.tensor_scatter_nd_min(
            tf.fill([sum(self._sizes)], total), drawn[:, None], order
        )
        usable = ~tf.gather(mask, drawn) & (tf.gather(first, drawn) == order)

        count = tf.cumsum(tf.cast(usable, "int32"))
        up_to = tf.gather(count, self._last_candidates)
        before = tf.concat([[0], up_to[:-1]], axis=0)
        wanted = tf.stack(
            [
                tf.reduce_sum(tf.cast(part, "int32"))
                for part in tf.split(flipped, self._sizes)
            ]
        )
        num_grown = tf.where(up_to - before >= wanted, wanted, 0)
        rank = count - tf.gather(before, self._kernel_of)
        taken = usable & (rank <= tf.gather(num_grown, self._kernel_of))
        # Read back from each position: a second scattering would cost more.
        grown = (first < total) & tf.gather(taken, tf.minimum(first, total - 1))
        return grown, tf.unstack(num_grown)

    def _store(self, weights, mask, moved, num_grown, last):
        """Assign everything but the last kernel, which is returned."""
        import tensorflow as tf

        parts = (tf.split(x, self._sizes) for x in (weights, mask, moved))
        for weight, *own, number in zip(self.weights, *parts, num_grown):
            kernel, mask, moved = (
                tf.reshape(part, weight.kernel.shape) for part in own
            )
            weight.mask.assign(mask)
            self._reset_slots(weight.kernel, moved)
            self._count(weight, number)
            if weight is not self.weights[-1]:
                weight.kernel.assign(tf.cast(kernel, weight.kernel.dtype))
        return tf.cast(kernel, last.dtype)

    def _reset_slots(self, kernel, places):
        import tensorflow as tf

        for slot, fresh in optimizer_slots.slots(self._optimizer, kernel):
            values = ops.convert_to_tensor(slot)
            slot.assign(
                tf.where(places, tf.constant(fresh, values.dtype), values)
            )

    def _count(self, weight, num_moved):
        import tensorflow as tf

        variable = weight.layer.reallocation_state
        values = ops.convert_to_tensor(variable)
        here = tf.range(values.shape[0]) == LAYER_COUNT
        moved = tf.cast(num_moved, values.dtype)
        variable.assign(values + tf.where(here, moved, 0))

    def _key(self, step):
        """What all hashes in this step begin with."""
        import tensorflow as tf

        key = mix(tf.cast(seed_in_graph(self._state), "uint32"))
        return mix((key + np.uint32(0x9E3779B9)) ^ tf.cast(step, "uint32"))


def _flat(tensors):
    import tensorflow as tf

    return tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], axis=0)
