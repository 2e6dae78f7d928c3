"""Gradients of inactive weights, for methods that grow by them.

The gradient of a masked kernel is dense until the mask cuts it. In steps of
an open window it is let through: the optimizer then accumulates it in the
slots of inactive weights, where a reallocation reads it. It costs no second
pass, whatever the training step of the model is.

What the optimizer makes of inactive weights meanwhile does not matter: the
forward pass and penalties see the masked kernel, `Reallocator.clean`
restores the stored zeros, and `device.clear` empties the slots at the end.

Where only active weights are stored, the step finds the largest of the
gradients of the others instead, or draws among those that are not 0, as the
method says (`dsr_tf.layers.candidates`); that costs a dense product in that
step.
"""

from typing import Any

import keras
from keras import ops

from dsr_tf.core import optimizer_slots
from dsr_tf.core.hashing import key_of
from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.layers.storages import StoredVariable
from dsr_tf.methods.hook import InStepHook
from dsr_tf.methods.method import Method

_FOREVER = 2**31 - 1


class GradientGate(InStepHook):
    """Lets gradients through to inactive weights in a window of steps.

    The window is a variable of the model, since a reallocation after a
    restart needs to know what slots hold.

    Args:
        method: The method, whose name messages tell.
        masked: List of all `MaskedWeight` of the model.
        trained: The Keras model whose training function runs the steps.
        every_step: Whether the gradient is needed as momentum, in every
            step; else that of the step before each reallocation.

    Attributes:
        needs_momentum: Whether the optimizer must keep one.
    """

    gathers_gradients = True

    def __init__(
        self,
        method: Method,
        masked: list[MaskedWeight],
        trained: keras.Model,
        every_step: bool,
    ) -> None:
        super().__init__([weight for weight in masked if weight.trainable])
        self._name, self._trained = type(method).__name__, trained
        self._window = masked[0].layer.gradient_window
        self._state = masked[0].layer.reallocation
        self._draws_alive = method.draws_alive
        self._optimizer: keras.optimizers.Optimizer = None
        self._last_set: list[int] | None = None
        self.keeps_gradients = self.needs_momentum = every_step
        self._stored = [
            weight.variable
            for weight in self.masked
            if isinstance(weight.variable, StoredVariable)
        ]
        # Each weight's, once it has been looked for some.
        self._candidates: list[Any] = [None] * len(self._stored)
        self.why_not_stored = None
        if every_step:
            self.why_not_stored = (
                "needs the momentum of inactive weights, a number for each "
                "weight of a kernel"
            )
        self.looks_before = not every_step and not _knows_its_number()

    def check(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Refuse what cannot provide such gradients.

        Raises:
            ValueError: where momentum is needed and the optimizer keeps
                none; the window must be set between two steps, and the
                model runs several in one call; or an update sums the
                gradients of several steps, of which only the last would be
                looked at where active weights only are stored.
        """
        steps = getattr(self._trained, "steps_per_execution", 1)
        if self.looks_before and steps != 1:
            raise ValueError(
                f"{self._name} needs `steps_per_execution=1` in `compile` on "
                f"Keras' {keras.backend.backend()} backend. Received: "
                f"steps_per_execution={steps}"
            )
        for leaf in optimizer_slots.leaves(optimizer):
            number = leaf.gradient_accumulation_steps
            if self._stored and number:
                raise ValueError(
                    f"{self._name} needs the gradient of each update in one "
                    "step where active weights only are stored. Received: "
                    f"gradient_accumulation_steps={number}"
                )
        if not self.needs_momentum:
            return
        # If not now, this is seen at the first reallocation.
        is_built = optimizer_slots.build(optimizer, self._trained)
        if is_built and not all(
            optimizer_slots.has_momentum(optimizer, weight.kernel)
            for weight in self.masked
        ):
            raise ValueError(
                f"{self._name} needs an optimizer with a momentum. Received: "
                f"optimizer={type(optimizer).__name__}, which keeps none"
            )

    def install(
        self, optimizer: keras.optimizers.Optimizer, epoch: int
    ) -> None:
        self._optimizer = optimizer
        super().install(optimizer, epoch)
        self._candidates = [
            variable.look_for_candidates(self._trained, known)
            for variable, known in zip(self._stored, self._candidates)
        ]

    def remove(self) -> None:
        super().remove()
        for variable in self._stored:
            variable.forget_candidates()

    def gradient_is_dense(self) -> Any:
        first, end = ops.unstack(ops.convert_to_tensor(self._window))
        if not _knows_its_number():
            return end > first
        step = ops.convert_to_tensor(self._optimizer.iterations)
        step = ops.cast(step, first.dtype)
        return ops.logical_and(step >= first, step < end)

    def key_of_lots(self, variable: Any) -> Any:
        if not self._draws_alive:
            return None
        # Another one for each weight and reallocation.
        state = ops.convert_to_tensor(self._state)
        return key_of(state[0], state[1], self._stored.index(variable))

    def open(self, step: int, due: int) -> None:
        for variable in self._stored:
            variable.candidates.assign(None)
        if self.keeps_gradients:
            self._set(0, _FOREVER)
        elif self.looks_before and step < due - 1:
            self._set(0, 0)
        else:
            self._set(due - 1, due)

    def settle(self) -> None:
        # Slots do not hold what a window of earlier weights says.
        if self._last_set not in (None, self._read()):
            if self.keeps_gradients:
                self._set(*self._last_set)
            else:
                self.close()

    def close(self) -> None:
        self._set(0, 0)

    @property
    def is_open(self) -> bool:
        return self._read()[1] > 0

    def is_ready(self, last_step: int, step: int) -> bool:
        # Where the period changes, a reallocation may have become due
        # without the gradient of the step before it.
        # And what is stored may have had no part in that step, or have been
        # changed since.
        if self.keeps_gradients:
            return True
        return self.is_pending(last_step, step) and all(
            variable.has_candidates() for variable in self._stored
        )

    def is_pending(self, last_step: int, step: int) -> bool:
        return not self.keeps_gradients and last_step < self._read()[1] <= step

    def _read(self) -> list[int]:
        return ops.convert_to_numpy(self._window).tolist()

    def _set(self, *window: int) -> None:
        # Not read before, which would wait for the device.
        self._window.assign(window)
        self._last_set = [*window]


def close_window(masked: list[MaskedWeight]) -> None:
    """Close what a file saved within a training may have left open.

    Args:
        masked: List of all `MaskedWeight` of a model.
    """
    window = masked[0].layer.gradient_window
    if ops.convert_to_numpy(window).any():
        window.assign([0, 0])


def _knows_its_number() -> bool:
    """Whether a compiled step knows its own number.

    On JAX, Keras computes gradients where the optimizer cannot be seen, so
    the window must be set in the very step that it is for.
    """
    return keras.backend.backend() == "tensorflow"
