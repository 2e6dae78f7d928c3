"""What a method does inside of the compiled training step."""

from typing import Any

import keras

from dsr_tf.layers.masked_weights import MaskedWeight


class InStepHook:
    """Something with an owner and an end: this one does nothing.

    A method returns a hook for a model (`Method.in_step`). It is installed
    when training begins, traced into the compiled step with all else, and
    removed when training ends. Its weights know it meanwhile
    (`MaskedVariable.hook`), so that what was broken off can be ended too.

    Args:
        masked: List of the `MaskedWeight` that it acts on.
    """

    # Whether it acts in the step, which must be compiled with it then.
    acts = True
    # Whether optimizer slots of inactive weights gather gradients, which
    # the method grows by; and whether they go on when weights have moved.
    gathers_gradients = False
    keeps_gradients = False
    # Why it cannot act where only active weights are stored, in words that
    # go on from the method's name; None where it can.
    why_not_stored: str | None = "looks at whole kernels in the training step"
    # Whether it must be told in the very step before something is due.
    looks_before = False

    def __init__(self, masked: list[MaskedWeight]) -> None:
        self.masked = masked

    def check(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Refuse what the method has no means for, before training.

        Raises:
            ValueError: with the reason.
        """

    def install(
        self, optimizer: keras.optimizers.Optimizer, epoch: int
    ) -> None:
        """Take up its work; the step must not have been traced yet."""
        for weight in self.masked:
            weight.variable.hook = self

    def remove(self) -> None:
        """Leave the model as if it had never been there."""
        for weight in self.masked:
            weight.variable.hook = None

    def settle(self) -> None:
        """Mend what others may have changed of its state in the model, such
        as by restoring earlier weights, where training goes on."""

    def begin_epoch(self, epoch: int) -> None:
        """Settle what depends on the epoch, and on weights that may have
        been loaded since the last."""

    def gradient_is_dense(self) -> Any:
        """Whether gradients reach inactive weights in the step that is
        traced: a boolean tensor, or None for never."""
        return None

    def key_of_lots(self, variable: Any) -> Any:
        """What draws what can grow of a weight that is not stored whole.

        Args:
            variable: The `StoredVariable`.

        Returns:
            A tensor of 32 random bits, or None for the largest gradients.
        """
        return None

    def open(self, step: int, due: int) -> None:
        """Act, for a reallocation to come.

        Args:
            step: Number of updates so far.
            due: Step of the next reallocation.
        """

    def close(self) -> None:
        """Act no longer, until it is opened again."""

    @property
    def is_open(self) -> bool:
        """Whether it has been opened, and not closed since."""
        return False

    def is_ready(self, last_step: int, step: int) -> bool:
        """Whether a reallocation that is due has what it needs.

        Args:
            last_step: Step of the last reallocation.
            step: Number of updates so far.
        """
        return True

    def is_pending(self, last_step: int, step: int) -> bool:
        """Whether slots hold gradients for a reallocation to come."""
        return False

    def collect(self) -> dict[str, int] | None:
        """Weights moved inside of steps since the last call, by path.

        Returns:
            A dict; None where weights move in reallocations.
        """
        return None


class NoHook(InStepHook):
    """That of methods that do nothing inside of the step."""

    acts = False
    why_not_stored = None

    def install(
        self, optimizer: keras.optimizers.Optimizer, epoch: int
    ) -> None:
        """Nothing to take up."""

    def remove(self) -> None:
        """Nothing to leave."""
