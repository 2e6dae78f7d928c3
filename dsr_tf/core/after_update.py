"""Calling a function after each update of an optimizer, in the same step.

Keras has constraints for that, one function for each variable. What concerns
several variables at once must come after the last of them.
"""

import functools
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from dsr_tf.core import optimizer_slots


class AfterUpdate:
    """Stands in the place of an optimizer's `apply` while it is installed.

    Several may stand there at a time, for parts of what it updates; each is
    called after the one that came before it.

    Args:
        leaf: A Keras optimizer that updates variables itself.
        counter: The optimizer that counts the updates, `leaf` or one that
            wraps it.
        function: What to call, with two tensors: the number of updates
            before this one, and its learning rate. It is traced into the
            compiled step.
    """

    def __init__(
        self,
        leaf: keras.optimizers.Optimizer,
        counter: keras.optimizers.Optimizer,
        function: Callable[[Any, Any], None],
    ) -> None:
        self._leaf, self._counter, self.function = leaf, counter, function
        # What stood there before: another of these, or a caller's own.
        self.before: Any = None

    def install(self) -> None:
        if self in _installed(self._leaf):
            return
        # Past Keras, which looks into what is set on an optimizer.
        self.before = vars(self._leaf).get("apply")
        vars(self._leaf)["apply"] = self

    def remove(self) -> None:
        for after in _installed(self._leaf):
            if after.before is self:
                after.before = self.before
        if vars(self._leaf).get("apply") is self:
            if self.before is None:
                del vars(self._leaf)["apply"]
            else:
                vars(self._leaf)["apply"] = self.before
        self.before = None

    def __call__(
        self,
        grads: Sequence[Any],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        step, rate = before_update(self._counter, self._leaf)
        number = ops.add(self._leaf.iterations, 0)
        if self.before is None:
            type(self._leaf).apply(self._leaf, grads, trainable_variables)
        else:
            self.before(grads, trainable_variables)
        if not self._leaf.gradient_accumulation_steps:
            self.function(step, rate)
            return
        # Most calls add to the gradients only, and update nothing.
        ops.cond(
            ops.greater(self._leaf.iterations, number),
            lambda: self.function(step, rate),
            lambda: None,
        )


def _installed(leaf: keras.optimizers.Optimizer) -> list[AfterUpdate]:
    """Those that stand in the place of `apply`, the first to act first."""
    found, apply = [], vars(leaf).get("apply")
    while isinstance(apply, AfterUpdate):
        found.append(apply)
        apply = apply.before
    return found[::-1]


def before_update(
    counter: keras.optimizers.Optimizer, leaf: keras.optimizers.Optimizer
) -> tuple[Any, Any]:
    """The number of updates so far, and the learning rate of the next."""
    # Added to, since Keras gives variables for tensors, to be read later.
    step = ops.add(counter.iterations, 0)
    return step, ops.add(leaf.learning_rate, 0)


def functions_of(
    optimizer: keras.optimizers.Optimizer,
) -> list[Callable[[], None]]:
    """The functions that are to be called, by loops that do not `apply`.

    Returns:
        List of functions without arguments, to be called before the
        optimizer counts the update.
    """
    found: list[Callable[[], None]] = []
    for leaf in optimizer_slots.leaves(optimizer):
        for after in _installed(leaf):
            arguments = before_update(optimizer, leaf)
            found.append(functools.partial(after.function, *arguments))
    return found
