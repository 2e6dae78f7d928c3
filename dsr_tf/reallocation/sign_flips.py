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
from dsr_tf.reallocation.state import LAYER_COUNT


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
        model: The compiled model.
    """

    def __init__(self, method, masked, model):
        import tensorflow as tf

        self._method, self._masked = method, masked
        self._optimizer = optimizer = model.optimizer
        if not optimizer.built:
            optimizer.build(model.trainable_variables)
        # An optimizer that wraps several applies them one after another.
        groups = {}
        for weight in masked:
            if weight.kernel.trainable:
                leaf = optimizer_slots.leaf_of(optimizer, weight.kernel)
                groups.setdefault(id(leaf), []).append(weight)
        with model.distribute_strategy.scope():
            self._temperature = tf.Variable(0.0, trainable=False)
            self._vectors = [
                SignedVector(
                    group,
                    optimizer,
                    masked[0].layer.reallocation_state,
                    self._temperature,
                    method.l1,
                )
                for group in groups.values()
            ]
        for vector in self._vectors:
            for weight in vector.weights:
                before = weight.kernel.constraint
                if isinstance(before, _KeepSigns):
                    before = before.before
                is_last = weight is vector.weights[-1]
                weight.kernel.constraint = _KeepSigns(
                    self, before, vector if is_last else None
                )

    def serves(self, method, optimizer):
        """Whether the constraints are those of `method` as well."""
        return self._optimizer is optimizer and self._method.l1 == method.l1

    def begin(self, method):
        """Read the signs off the weights as they are."""
        self._method = method
        for vector in self._vectors:
            vector.read_signs()

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

    def __init__(self, flips, before, vector):
        self.flips, self.before, self._vector = flips, before, vector

    def __call__(self, kernel):
        if self.before is not None:
            kernel = self.before(kernel)
        kernel = ops.convert_to_tensor(kernel)
        return kernel if self._vector is None else self._vector.move(kernel)
