"""What a method does inside of the training step: with an owner and an end.

RigL and SNFS let gradients through to inactive weights, DeepR moves weights
in every step. Both are hooks on the masked layers, traced into the compiled
step. They come when training begins, act in a window of steps that the
state of the reallocation holds, and go when training ends.
"""

from dsr_tf.reallocation import dense_gradient
from dsr_tf.reallocation import sign_flips
from dsr_tf.reallocation.device import clear
from dsr_tf.reallocation.state import ReallocationState
from dsr_tf.reallocation.train_function import TrainFunction

_FOREVER = 2**31 - 1


class InStep:
    """The hooks of a method on a model.

    Args:
        method: A `Method`.
        masked: List of all `MaskedWeight` of a model; hooks are for those
            that are trained.
        trained: The Keras model whose training function runs the steps.
    """

    def __init__(self, method, masked, trained):
        self._method, self._trained = method, trained
        self._all = masked
        self._masked = [weight for weight in masked if weight.trainable]
        self._state = masked[0].layer.reallocation_state
        self._function = TrainFunction(trained)
        self.sign_flips = self._gate = None
        self.is_installed = False

    def check(self, optimizer):
        """Refuse what the method has no means for, before training.

        Raises:
            ValueError: if there is no momentum, no gradient to be had, or
                no way to move weights in a step.
        """
        if self._method.dense_gradient != "never":
            dense_gradient.check(
                self._method, self._masked, self._trained, optimizer
            )
        if self._method.moves_every_step:
            sign_flips.check(self._masked)

    def install(self, optimizer, epoch):
        """Hook the method in; training must not have begun to use it.

        Args:
            optimizer: The optimizer that trains the weights.
            epoch: The epoch that begins.
        """
        if self.is_installed:
            return
        acts = self._method.moves_every_step
        if self._method.dense_gradient != "never":
            if self._gate is None or self._gate.optimizer is not optimizer:
                self._gate = dense_gradient.DenseGradient(
                    self._state, optimizer
                )
            for weight in self._masked:
                weight.layer.dense_gradient = self._gate
            acts = True
        if self._method.moves_every_step:
            flips = self.sign_flips
            if flips is None or flips.optimizer is not optimizer:
                self.sign_flips = sign_flips.SignFlips(
                    self._method,
                    self._masked,
                    self._state,
                    self._trained,
                    optimizer,
                )
            self.sign_flips.install()
            self.sign_flips.begin_epoch(epoch)
        if acts:
            self.is_installed = True
            self._function.use_hooked()

    def remove(self):
        """Leave the model as if the method had never been there."""
        if not self.is_installed:
            return
        _take_off(self._masked)
        self._function.use_plain()
        self.is_installed = False

    def begin_epoch(self, epoch):
        """Settle what depends on the epoch, and on weights that may have
        been loaded since the last."""
        if self.sign_flips is not None:
            self.sign_flips.begin_epoch(epoch)

    def is_ready(self, state, step):
        """Whether a reallocation that is due has what it needs.

        Where the period changes, it may have become due without the step
        of `dense_gradient` before it.
        """
        return self._method.dense_gradient != "last" or self.is_pending(
            state, step
        )

    def is_pending(self, state, step):
        """Whether slots hold gradients for a reallocation to come."""
        is_last = self._method.dense_gradient == "last"
        return is_last and state.last_step < state.open_until <= step

    def looks_before(self):
        """Whether the window must be opened in the step before it is due."""
        is_last = self._method.dense_gradient == "last"
        return is_last and not dense_gradient.window_follows_steps()

    def open_window(self, state, step, due):
        """Set the steps in which the method acts inside of the step.

        Args:
            state: The `ReallocationState`; written if it changes.
            step: Number of updates so far.
            due: Step of the next reallocation.
        """
        if self.looks_before() and step < due - 1:
            window = (0, 0)
        elif self._method.dense_gradient == "last":
            window = (due - 1, due)
        elif self._method.dense_gradient == "always" or (
            self._method.moves_every_step
        ):
            window = (0, _FOREVER)
        else:
            return
        if window != (state.open_from, state.open_until):
            state.open_from, state.open_until = window
            state.write(self._all)


def start_clean(masked, optimizer, trained, keep_slots=False):
    """Take away what an earlier training has left in a model.

    Hooks, if it was broken off; and what a file that was saved within it
    holds: an open window, and slots of inactive weights.

    Args:
        masked: List of all `MaskedWeight` of the model.
        optimizer: The optimizer that holds the slots.
        trained: The Keras model whose training function runs the steps.
        keep_slots: Whether a training that uses such slots goes on; where
            hooks are found, it does not.
    """
    was_broken_off = _take_off(masked)
    if was_broken_off and getattr(trained, "train_function", None) is not None:
        trained.make_train_function(force=True)
    if was_broken_off or not keep_slots:
        clear([weight for weight in masked if weight.trainable], optimizer)
        ReallocationState.read(masked).close_window(masked)


def _take_off(masked):
    """Take all hooks off; whether there were any."""
    found = False
    for weight in masked:
        if weight.layer.dense_gradient is not None:
            weight.layer.dense_gradient, found = None, True
        if isinstance(weight.kernel.constraint, sign_flips.KeepSigns):
            weight.kernel.constraint = weight.kernel.constraint.before
            found = True
    return found
