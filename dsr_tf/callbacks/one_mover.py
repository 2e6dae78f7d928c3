"""One callback moves the weights of a layer in a `fit`, not two.

A second one would take the hook of the first off, and with it the gradients
that a method grows by, and count its steps from the other's moves.
"""

import weakref
from collections.abc import Sequence
from typing import Any

import keras

from dsr_tf.layers.masked_weights import MaskedWeight

# For each layer who moves its weights, and the parameters of the `fit` that it
# does so in: a dict that Keras makes for each `fit`, the same for all of its
# callbacks. So one that was broken off is not in the way of the next.
_movers: weakref.WeakKeyDictionary[Any, tuple[Any, Any]] = (
    weakref.WeakKeyDictionary()
)


def claim(
    callback: keras.callbacks.Callback, masked: Sequence[MaskedWeight]
) -> None:
    """Let a callback move weights in the `fit` that it is in, if any.

    Args:
        callback: The callback, which has a `method`.
        masked: List of the `MaskedWeight`.

    Raises:
        ValueError: if another one moves some of them in it.
    """
    if not callback.params:
        return
    for weight in masked:
        params, mover = _movers.get(weight.layer, (None, None))
        other = mover() if params is callback.params else None
        if other not in (None, callback):
            raise ValueError(
                f"`{type(callback).__name__}` with {callback.method} is to "
                f"move the weights of {weight.path}, and so is "
                f"`{type(other).__name__}` with {other.method}: a model takes "
                "one method at a time"
            )
        _movers[weight.layer] = callback.params, weakref.ref(callback)
