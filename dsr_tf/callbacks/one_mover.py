"""One callback changes the masks of a layer in a `fit`, not two.

A second one would take the hook of the first off, and with it the gradients
that a method grows by, count its steps from the other's moves, or prune what
the first keeps count of.
"""

import weakref
from collections.abc import Sequence
from typing import Any

import keras

from dsr_tf.layers.masked_weights import MaskedWeight

# For each layer the parameters of the `fit` in which its masks change, who
# changes them, and what messages call that. The parameters are a dict that
# Keras makes for each `fit`, the same for all of its callbacks: so one that
# was broken off is not in the way of the next.
_movers: weakref.WeakKeyDictionary[Any, tuple[Any, Any, str]] = (
    weakref.WeakKeyDictionary()
)


def claim(
    callback: keras.callbacks.Callback,
    described: str,
    masked: Sequence[MaskedWeight],
) -> None:
    """Let a callback change masks in the `fit` that it is in, if any.

    Args:
        callback: The callback.
        described: What a message calls it.
        masked: List of the `MaskedWeight`.

    Raises:
        ValueError: if another one changes some of them in it.
    """
    if not callback.params:
        return
    for weight in masked:
        params, mover, name = _movers.get(weight.layer, (None, None, ""))
        other = mover() if mover and params is callback.params else None
        if other not in (None, callback):
            raise ValueError(
                f"{described} is to change the masks of {weight.path}, and so "
                f"is {name}: a model takes one of them at a time"
            )
        mover = weakref.ref(callback)
        _movers[weight.layer] = callback.params, mover, described


def release(
    callback: keras.callbacks.Callback, masked: Sequence[MaskedWeight]
) -> None:
    """Let others change the masks, at the end of a callback's training."""
    for weight in masked:
        _, mover, _ = _movers.get(weight.layer, (None, None, ""))
        if mover is not None and mover() is callback:
            del _movers[weight.layer]
