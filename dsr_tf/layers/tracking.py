"""Variables that a built layer takes or gives away."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras


@contextlib.contextmanager
def unlocked(layer: keras.layers.Layer) -> Iterator[None]:
    """Let a built layer take variables, or give them away."""
    was_locked = layer._tracker.locked
    layer._tracker.unlock()
    try:
        yield
    finally:
        if was_locked:
            layer._lock_state()


def forget(layer: Any, variable: keras.Variable) -> None:
    """Delete the attribute that holds a variable, and the variable.

    `Layer.__delattr__` does that too, but collects garbage each time.
    """
    layer._untrack_variable(variable)
    for name, value in list(vars(layer).items()):
        if value is variable:
            super(keras.layers.Layer, layer).__delattr__(name)
