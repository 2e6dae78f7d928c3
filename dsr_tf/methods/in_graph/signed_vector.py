"""DeepR's moves in one step, of all kernels together."""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from dsr_tf.core import optimizer_slots
from dsr_tf.core.hashing import hash_of
from dsr_tf.core.hashing import key_of
from dsr_tf.core.hashing import noise
from dsr_tf.core.hashing import uniform
from dsr_tf.layers.masked_weights import MaskedWeight

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
        weights: List of `MaskedWeight`.
        optimizer: The model's optimizer.
        reallocation: The variable that begins with the seed.
        temperature: `tf.Variable`.
        l1: The method's.
    """

    def __init__(
        self,
        weights: list[MaskedWeight],
        optimizer: keras.optimizers.Optimizer,
        reallocation: Any,
        temperature: Any,
        l1: float,
    ) -> None:
        order = optimizer_slots.leaf_of(optimizer, weights[0].kernel)
        order = order._trainable_variables_indices
        self.weights = sorted(
            weights, key=lambda w: order[optimizer._var_key(w.kernel)]
        )
        self._optimizer, self._reallocation = optimizer, reallocation
        self._temperature, self._l1 = temperature, l1
        self._sizes = [weight.size for weight in self.weights]
        # What the active weights' signs are follows from the weights
        # whenever a step is complete, so it needs no saving.
        self._positive = [
            tf.Variable(tf.fill([size], False)) for size in self._sizes
        ]
        numbers = [
            math.ceil(_CANDIDATES * weight.num_active)
            for weight in self.weights
        ]
        # For each candidate: its kernel, where that begins, and its size.
        self._kernel_of = np.repeat(np.arange(len(numbers)), numbers)
        self._starts = np.cumsum([0, *self._sizes[:-1]]).astype("int32")
        self._start_of = self._starts[self._kernel_of]
        self._size_of = np.array(self._sizes, "int32")[self._kernel_of]
        self._last_candidates = np.cumsum(numbers) - 1

    def read_signs(self) -> None:
        """Give every active weight the sign that it has."""
        for weight, positive in zip(self.weights, self._positive):
            kernel = ops.convert_to_numpy(weight.kernel).reshape(-1)
            positive.assign(kernel > 0)

    def move(self, step: Any, rate: Any) -> None:
        """Walk, and move what broke its sign.

        Args:
            step: Tensor, number of updates before this one.
            rate: Tensor, the learning rate of this update.
        """
        key = self._key(step)
        kernels, masks = (
            [tf.reshape(ops.convert_to_tensor(v), [-1]) for v in variables]
            for variables in (
                [weight.kernel for weight in self.weights],
                [weight.mask for weight in self.weights],
            )
        )
        walked, flipped = [], []
        for kernel, mask, positive, start in zip(
            kernels, masks, self._positive, self._starts
        ):
            sign = tf.where(positive, 1.0, -1.0)
            bits = hash_of(start + tf.range(kernel.shape[0]), key)
            walked.append(
                tf.cast(kernel, "float32") + self._walk(sign, bits, rate)
            )
            flipped.append(mask & (walked[-1] * sign <= 0))
        grown, num_grown = self._draw(masks, flipped, key)
        for index, weight in enumerate(self.weights):
            pruned = flipped[index] & (num_grown[index] > 0)
            started = grown[index] | (flipped[index] & ~pruned)
            mask = (masks[index] | grown[index]) & ~pruned
            positions = self._starts[index] + tf.range(weight.size)
            bits = hash_of(positions, key + np.uint32(1))
            positive = tf.where(started, bits % 2 == 0, self._positive[index])
            kernel = tf.where(
                started, tf.where(positive, GROWN, -GROWN), walked[index]
            )
            kernel = tf.where(mask, kernel, 0.0)
            kernel, mask, moved = (
                tf.reshape(x, weight.kernel.shape)
                for x in (kernel, mask, started | pruned)
            )
            self._positive[index].assign(positive)
            weight.mask.assign(mask)
            self._reset_slots(weight.kernel, moved)
            self._count(weight, num_grown[index])
            weight.kernel.assign(tf.cast(kernel, weight.kernel.dtype))

    def _walk(self, sign: Any, bits: Any, rate: Any) -> Any:
        """Noise and the pull towards 0 for every position."""
        rate = tf.cast(rate, "float32")
        scale = tf.sqrt(2 * rate * self._temperature)
        return scale * noise(bits) - rate * self._l1 * sign

    def _draw(
        self, masks: list[Any], flipped: list[Any], key: Any
    ) -> tuple[list[Any], list[Any]]:
        """In each kernel as many free positions as weights flipped, or none.

        Candidates are drawn with replacement; the first ones that are free
        and have not come before are taken, so every set of free positions
        is as likely as any other.

        Returns:
            For each kernel, booleans, True where a weight grows; and the
            number of these, two lists.
        """
        order = tf.range(len(self._kernel_of))
        part = uniform(hash_of(order, key + np.uint32(2)))
        within = tf.cast(part * tf.cast(self._size_of, "float32"), "int32")
        drawn = self._start_of + tf.minimum(within, self._size_of - 1)
        is_free = ~tf.gather(tf.concat(masks, axis=0), drawn)
        usable = is_free & _is_first(drawn)

        count = tf.cumsum(tf.cast(usable, "int32"))
        up_to = tf.gather(count, self._last_candidates)
        before = tf.concat([[0], up_to[:-1]], axis=0)
        wanted = tf.stack(
            [tf.reduce_sum(tf.cast(flips, "int32")) for flips in flipped]
        )
        num_grown = tf.where(up_to - before >= wanted, wanted, 0)
        rank = count - tf.gather(before, self._kernel_of)
        taken = usable & (rank <= tf.gather(num_grown, self._kernel_of))
        grown = tf.tensor_scatter_nd_max(
            tf.zeros([sum(self._sizes)], "int32"),
            drawn[:, None],
            tf.cast(taken, "int32"),
        )
        return tf.split(grown > 0, self._sizes), tf.unstack(num_grown)

    def _reset_slots(self, kernel: keras.Variable, places: Any) -> None:
        for slot, fresh in optimizer_slots.slots(self._optimizer, kernel):
            values = ops.convert_to_tensor(slot)
            slot.assign(
                tf.where(places, tf.constant(fresh, values.dtype), values)
            )

    def _count(self, weight: MaskedWeight, num_moved: Any) -> None:
        variable = weight.layer.num_moved
        values = ops.convert_to_tensor(variable)
        here = tf.range(values.shape[0]) == weight.variable.index
        moved = tf.cast(num_moved, values.dtype)
        variable.assign(values + tf.where(here, moved, 0))

    def _key(self, step: Any) -> Any:
        """What all hashes in this step begin with."""
        seed = ops.convert_to_tensor(self._reallocation)[0]
        return key_of(seed, step)


def _is_first(drawn: Any) -> Any:
    """Which of the numbers have not come before, booleans."""
    # Equal ones stay in order, so the first of them comes first.
    by_size = tf.argsort(drawn, stable=True)
    ascending = tf.gather(drawn, by_size)
    is_new = tf.concat([[True], ascending[1:] != ascending[:-1]], axis=0)
    return (
        tf.scatter_nd(by_size[:, None], tf.cast(is_new, "int32"), drawn.shape)
        > 0
    )
