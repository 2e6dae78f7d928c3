"""Gradients of inactive weights, for methods that grow by them.

The gradient of a masked kernel is dense until the mask cuts it. In steps of
an open window it is let through: the optimizer then accumulates it in the
slots of inactive weights, where a reallocation reads it. It costs no second
pass, whatever the training step of the model is.

What the optimizer makes of inactive weights meanwhile is of no account: the
forward pass and penalties see the masked kernel, `Reallocator.clean`
restores the stored zeros, and `Device.clear` empties the slots at the end.
"""

import keras

from dsr_tf.reallocation import optimizer_slots
from dsr_tf.reallocation.state import window_is_open
from dsr_tf.reallocation.state import window_is_there


class DenseGradient:
    """Makes the masked layers of a model ask whether the window is open.

    Args:
        state: The variable of the `ReallocationState`.
        optimizer: The optimizer that counts the steps.
    """

    def __init__(self, state, optimizer):
        self.optimizer, self._state = optimizer, state

    def __call__(self):
        """A boolean tensor for the step that is being computed."""
        if window_follows_steps():
            return window_is_open(self._state, self.optimizer.iterations)
        return window_is_there(self._state)


def window_follows_steps():
    """Whether a compiled step knows its own number.

    On JAX, Keras computes gradients where the optimizer cannot be seen, so
    the window must be set in the very step that it is for.
    """
    return keras.backend.backend() == "tensorflow"


def check(method, masked, model, optimizer):
    """Refuse what cannot provide such gradients.

    Raises:
        ValueError: where momentum is needed and the optimizer keeps none;
            or the window must be set between two steps, and the model runs
            several in one call.
    """
    name = type(method).__name__
    if (
        method.dense_gradient == "last"
        and not window_follows_steps()
        and getattr(model, "steps_per_execution", 1) != 1
    ):
        raise ValueError(
            f"{name} needs `steps_per_execution=1` in `compile` on Keras' "
            f"{keras.backend.backend()} backend. Received: "
            f"steps_per_execution={model.steps_per_execution}"
        )
    if method.dense_gradient != "always":
        return
    # If not now, this is seen at the first reallocation.
    is_built = optimizer_slots.build(optimizer, model)
    if is_built and not all(
        optimizer_slots.has_momentum(optimizer, weight.kernel)
        for weight in masked
    ):
        raise ValueError(
            f"{name} needs an optimizer with a momentum. Received: "
            f"optimizer={type(optimizer).__name__}, which keeps none"
        )
