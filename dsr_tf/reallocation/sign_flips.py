"""DeepR's moves, made on the device inside of every training step.

Keras applies a variable's constraint after each update, in the compiled
step. Here the constraint of a kernel is: every active weight has the sign
that it was given. Weights that break it move to free positions.

Random numbers are hashes of (seed, step, kernel, position). They need no
state, so a resumed run draws the same; and hashing is some thirty times
faster than XLA's own generators on a CPU.
"""

import math

import keras
import numpy as np
from keras import ops

from dsr_tf.reallocation import optimizer_slots
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


def check(masked):
    """Refuse models that DeepR has no meaning or no means for.

    Raises:
        ValueError: at other granularities than element, where a group has
            no sign, or on another backend than TensorFlow's.
    """
    for weight in masked:
        if weight.group_size != 1:
            raise ValueError(
                "DeepR needs granularity 'element', since a group of weights "
                "has no sign. Received: granularity="
                f"{weight.layer.granularity.name!r} for {weight.path}"
            )
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "DeepR moves weights inside of the training step, which works on "
            "Keras' TensorFlow backend only. Received: backend "
            f"{keras.backend.backend()}"
        )


def install(method, masked, model):
    """Constrain the kernels of a model; returns a `SignFlips`.

    A training function that was made before is made anew, unless it has
    these constraints already.
    """
    flips = getattr(masked[0].kernel.constraint, "flips", None)
    if flips is None or not flips.serves(method, model.optimizer):
        flips = SignFlips(method, masked, model)
        model.make_train_function(force=True)
    flips.begin(method)
    return flips


class SignFlips:
    """The constraints of all masked kernels of a model.

    Args:
        method: A `DeepR`.
        masked: List of `MaskedWeight`.
        model: The compiled model, its optimizer built.
    """

    def __init__(self, method, masked, model):
        import tensorflow as tf

        self._method, self._masked = method, masked
        self._optimizer = model.optimizer
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        with model.distribute_strategy.scope():
            self._temperature = tf.Variable(0.0, trainable=False)
            for stream, weight in enumerate(masked):
                constraint = weight.kernel.constraint
                if isinstance(constraint, _KeepSigns):
                    constraint = constraint.before
                weight.kernel.constraint = _KeepSigns(
                    self,
                    weight,
                    stream,
                    model.optimizer,
                    masked[0].layer.reallocation_state,
                    self._temperature,
                    method.l1,
                    constraint,
                )

    def serves(self, method, optimizer):
        """Whether the constraints are those of `method` as well."""
        return self._optimizer is optimizer and self._method.l1 == method.l1

    def begin(self, method):
        """Read the signs off the weights as they are."""
        self._method = method
        for weight in self._masked:
            weight.kernel.constraint.read_signs()

    def begin_epoch(self, epoch):
        """Set the temperature of the epoch."""
        self._temperature.assign(self._method.temperature_at(epoch))

    def collect(self):
        """Weights moved since the last call, by path of the kernel."""
        moved = {}
        for weight in self._masked:
            variable = weight.layer.reallocation_state
            values = ops.convert_to_numpy(variable).copy()
            moved[weight.path] = int(values[LAYER_COUNT])
            values[LAYER_COUNT] = 0
            variable.assign(values)
        return moved


class _KeepSigns:
    """The constraint of one kernel: a function from weights to weights."""

    def __init__(
        self, flips, weight, stream, optimizer, state, temperature, l1, before
    ):
        import tensorflow as tf

        self.flips, self.before = flips, before
        self._weight, self._stream = weight, stream
        self._optimizer, self._state = optimizer, state
        self._temperature, self._l1 = temperature, l1
        self._size = weight.size
        self._num_candidates = math.ceil(_CANDIDATES * weight.num_active)
        # What the active weights' signs are follows from the weights
        # whenever a step is complete, so it needs no saving.
        self._positive = tf.Variable(tf.fill([self._size], False))

    def read_signs(self):
        """Give every active weight the sign that it has."""
        kernel = ops.convert_to_numpy(self._weight.kernel).reshape(-1)
        self._positive.assign(kernel > 0)

    def __call__(self, kernel):
        import tensorflow as tf

        if self.before is not None:
            kernel = self.before(kernel)
        kernel = ops.convert_to_tensor(kernel)
        step = ops.convert_to_tensor(self._optimizer.iterations)
        return tf.cond(
            window_is_open(self._state, step),
            lambda: self._move(kernel, step),
            lambda: kernel,
        )

    def _move(self, kernel, step):
        import tensorflow as tf

        key = self._key(step)
        weights = tf.reshape(kernel, [-1])
        mask = tf.reshape(ops.convert_to_tensor(self._weight.mask), [-1])
        sign = tf.where(self._positive, 1.0, -1.0)

        walked = tf.cast(weights, "float32") + self._walk(sign, key)
        flipped = mask & (walked * sign <= 0)
        grown, num_grown = self._draw(mask, flipped, key)
        pruned = flipped & (num_grown > 0)
        started = grown | (flipped & ~pruned)
        mask = (mask | grown) & ~pruned

        positive = _hash(tf.range(self._size), key + np.uint32(1))
        positive = tf.where(started, positive % 2 == 0, self._positive)
        fresh = tf.where(positive, GROWN, -GROWN)
        weights = tf.where(started, fresh, walked)
        weights = tf.cast(tf.where(mask, weights, 0.0), kernel.dtype)

        self._positive.assign(positive)
        self._weight.mask.assign(tf.reshape(mask, self._weight.mask.shape))
        self._reset_slots(started | pruned)
        self._count(num_grown)
        return tf.reshape(weights, kernel.shape)

    def _walk(self, sign, key):
        """Noise and the pull towards 0 for every position."""
        import tensorflow as tf

        leaf = optimizer_slots.leaf_of(self._optimizer, self._weight.kernel)
        rate = tf.cast(leaf.learning_rate, "float32")
        noise = _noise(_hash(tf.range(self._size), key))
        scale = tf.sqrt(2 * rate * self._temperature)
        return scale * noise - rate * self._l1 * sign

    def _draw(self, mask, flipped, key):
        """As many free positions as weights flipped, or none.

        Candidates are drawn with replacement; the first ones that are free
        and have not come before are taken, so every set of free positions
        is as likely as any other.

        Returns:
            Booleans `(size,)`, True where a weight grows, and their number.
        """
        import tensorflow as tf

        order = tf.range(self._num_candidates)
        uniform = _uniform(_hash(order, key + np.uint32(2)))
        drawn = tf.cast(uniform * self._size, "int32")
        drawn = tf.minimum(drawn, self._size - 1)
        first = tf.tensor_scatter_nd_min(
            tf.fill([self._size], self._num_candidates), drawn[:, None], order
        )
        usable = ~tf.gather(mask, drawn) & (tf.gather(first, drawn) == order)
        rank = tf.cumsum(tf.cast(usable, "int32"))
        wanted = tf.reduce_sum(tf.cast(flipped, "int32"))
        taken = usable & (rank <= wanted) & (rank[-1] >= wanted)
        # Read back from each position: a second scattering would cost more.
        last = self._num_candidates - 1
        grown = (first <= last) & tf.gather(taken, tf.minimum(first, last))
        return grown, tf.reduce_sum(tf.cast(taken, "int32"))

    def _reset_slots(self, places):
        import tensorflow as tf

        kernel = self._weight.kernel
        places = tf.reshape(places, kernel.shape)
        for slot, fresh in optimizer_slots.slots(self._optimizer, kernel):
            values = ops.convert_to_tensor(slot)
            slot.assign(
                tf.where(places, tf.constant(fresh, values.dtype), values)
            )

    def _count(self, num_moved):
        import tensorflow as tf

        variable = self._weight.layer.reallocation_state
        values = ops.convert_to_tensor(variable)
        here = tf.range(values.shape[0]) == LAYER_COUNT
        moved = tf.cast(num_moved, values.dtype)
        variable.assign(values + tf.where(here, moved, 0))

    def _key(self, step):
        """What all hashes of this kernel in this step begin with."""
        import tensorflow as tf

        key = tf.cast(seed_in_graph(self._state), "uint32")
        for part in (tf.cast(step, "uint32"), np.uint32(self._stream)):
            key = _mix(key ^ part) + np.uint32(0x9E3779B9)
        return _mix(key)


def _mix(x):
    """Spreads every bit of 32 over all (the end of MurmurHash3)."""
    import tensorflow as tf

    shift = tf.bitwise.right_shift
    x = (x ^ shift(x, np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ shift(x, np.uint32(13))) * np.uint32(0xC2B2AE35)
    return x ^ shift(x, np.uint32(16))


def _hash(positions, key):
    """Random 32 bits for each position under a key."""
    import tensorflow as tf

    positions = tf.cast(positions, "uint32")
    return _mix(_mix(positions * np.uint32(0x9E3779B1) + key) ^ key)


def _noise(bits):
    """Numbers of mean 0 and variance 1, normal but for the far tails.

    The sum of the four bytes, scaled: of an exact normal number XLA would
    compute the logarithm several times over, at each place of its use.
    """
    import tensorflow as tf

    total = tf.zeros(bits.shape, "int32")
    for shift in (0, 8, 16, 24):
        byte = tf.bitwise.right_shift(bits, np.uint32(shift)) % np.uint32(256)
        total += tf.cast(byte, "int32")
    deviation = math.sqrt(4 * (256**2 - 1) / 12)
    return (tf.cast(total, "float32") - 4 * 127.5) / deviation


def _uniform(bits):
    """24 of the bits as a float32 in (0, 1)."""
    import tensorflow as tf

    high = tf.bitwise.right_shift(bits, np.uint32(8))
    return (tf.cast(tf.cast(high, "int32"), "float32") + 0.5) * 2.0**-24
