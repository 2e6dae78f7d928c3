"""DeepR's moves, made on the device inside of every training step.

Keras applies a variable's constraint after each update, in the compiled
step. Here the constraint of a kernel is: every active weight has the sign
that it was given. Weights that break it move to free positions.

The constraint of the last kernel sees to all of them, so that what grows is
drawn for all at once: a step of a GPU is over in milliseconds, and a dozen
small operations for each kernel would take up a third of it. Random numbers
are hashes of (seed, step, position).
"""

import keras
from keras import ops

from dsr_tf.reallocation import optimizer_slots
from dsr_tf.reallocation.signed_vector import SignedVector
from dsr_tf.reallocation.state import LayerCount


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


class SignFlips:
    """The constraints of all masked kernels of a model.

    Args:
        method: A `DeepR`.
        masked: List of the `MaskedWeight` that may move.
        state: The variable of the `ReallocationState`.
        model: The Keras model that is trained.
        optimizer: The optimizer that trains the kernels.
    """

    def __init__(self, method, masked, state, model, optimizer):
        import tensorflow as tf

        self._method, self._masked = method, masked
        self.optimizer = optimizer
        if not optimizer_slots.build(optimizer, model):
            raise ValueError(
                "DeepR needs an optimizer that knows its variables: call "
                "`optimizer.build(variables)`, with all that it trains, "
                "before training. Received: "
                f"optimizer={type(optimizer).__name__}, not built"
            )
        # An optimizer that wraps several applies them one after another.
        groups = {}
        for weight in masked:
            leaf = optimizer_slots.leaf_of(optimizer, weight.kernel)
            groups.setdefault(id(leaf), []).append(weight)
        with model.distribute_strategy.scope():
            self._temperature = tf.Variable(0.0, trainable=False)
            self._vectors = [
                SignedVector(
                    group, optimizer, state, self._temperature, method.l1
                )
                for group in groups.values()
            ]

    def install(self):
        """Constrain the kernels, to the signs that `begin_epoch` reads."""
        for weight in self._masked:
            # Another feature may have left its own number there.
            count = LayerCount(weight)
            count.write(max(0, count.read()))
        for vector in self._vectors:
            for weight in vector.weights:
                is_last = weight is vector.weights[-1]
                weight.kernel.constraint = KeepSigns(
                    weight.kernel.constraint, vector if is_last else None
                )

    def begin_epoch(self, epoch):
        """Set the temperature of the epoch, and read the signs again: other
        callbacks may have loaded weights meanwhile."""
        self._temperature.assign(self._method.temperature_at(epoch))
        for vector in self._vectors:
            vector.read_signs()

    def collect(self):
        """Weights moved since the last call, by path of the kernel."""
        moved = {}
        for weight in self._masked:
            count = LayerCount(weight)
            moved[weight.path] = count.read()
            count.write(0)
        return moved


class KeepSigns:
    """The constraint of one kernel: a function from weights to weights.

    Args:
        before: The constraint that the kernel has of its own, or None.
        vector: The `SignedVector`, of its last kernel; None for others.
    """

    def __init__(self, before, vector):
        self.before, self._vector = before, vector

    def __call__(self, kernel):
        if self.before is not None:
            kernel = self.before(kernel)
        kernel = ops.convert_to_tensor(kernel)
        return kernel if self._vector is None else self._vector.move(kernel)
