"""What comes after the last callback of `fit` has ended."""

from collections.abc import Callable
from typing import Any

import keras


def when_all_have_ended(
    model: keras.Model, function: Callable[[], None]
) -> None:
    """Call a function after the last callback of `fit` has ended.

    The last is the history, which Keras puts behind those of the user, new
    for each `fit`. (One that the user gives stays where it is in the list.)
    """
    history = getattr(model, "history", None)
    if not isinstance(history, keras.callbacks.History):
        return
    last = vars(history).get("on_train_end")
    if not isinstance(last, _AtTheEnd):
        last = history.on_train_end = _AtTheEnd(history)
    last.functions.append(function)


class _AtTheEnd:
    """Takes the place of a history's `on_train_end`, once."""

    def __init__(self, history: keras.callbacks.History | None = None) -> None:
        self._history = history
        self.functions: list[Callable[[], None]] = []

    def __call__(self, logs: dict[str, Any] | None = None) -> None:
        vars(self._history).pop("on_train_end", None)
        for function in self.functions:
            function()

    def __reduce__(self) -> tuple[Any, ...]:
        # After a `fit` that was broken off, the history holds it still.
        return _AtTheEnd, ()
