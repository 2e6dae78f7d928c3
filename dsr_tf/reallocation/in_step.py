"""The hook of a method in a model: with an owner and an end.

It comes when training begins, and goes when training ends; the compiled
training function is exchanged with it.
"""

import keras

from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.methods.gradient_gate import close_window
from dsr_tf.methods.method import Method
from dsr_tf.reallocation.device import clear
from dsr_tf.reallocation.train_function import TrainFunction


class InStep:
    """Installs and removes the hook of a method.

    Args:
        method: A `Method`.
        masked: List of all `MaskedWeight` of a model.
        trained: The Keras model whose training function runs the steps.

    Attributes:
        hook: The `InStepHook`.
        is_installed: Whether it is at work.
    """

    def __init__(
        self, method: Method, masked: list[MaskedWeight], trained: keras.Model
    ) -> None:
        self.hook = method.in_step(masked, trained)
        self.is_installed = False
        self._masked, self._trained = masked, trained
        self._function = TrainFunction(trained)

    def install(
        self, optimizer: keras.optimizers.Optimizer, epoch: int
    ) -> None:
        """Hook the method in, for what is trained from the next step on.

        Args:
            optimizer: The optimizer that trains the weights.
            epoch: The epoch that begins.
        """
        # If it is at work still, a training was broken off, and the model may
        # have another optimizer now.
        start_clean(
            self._masked,
            optimizer,
            self._trained,
            keep_slots=self.hook.gathers_gradients,
        )
        self.is_installed = False
        if self.hook.acts:
            self.hook.install(optimizer, epoch)
            self.is_installed = True
            self._function.use_hooked()

    def remove(self) -> None:
        """Leave the model as if the method had never been there."""
        if self.is_installed:
            self.hook.remove()
            self._function.use_plain()
            self.is_installed = False
        close_window(self._masked)


def start_clean(
    masked: list[MaskedWeight],
    optimizer: keras.optimizers.Optimizer,
    trained: keras.Model,
    keep_slots: bool = False,
) -> None:
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
        close_window(masked)


def _take_off(masked: list[MaskedWeight]) -> bool:
    """Remove all hooks; whether there were any."""
    found = [weight.variable.hook for weight in masked]
    hooks = {id(hook): hook for hook in found if hook is not None}
    for hook in hooks.values():
        hook.remove()
    return bool(hooks)
