"""Keras' own TensorBoard beside ours: alone it cannot draw masks."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

_NAME = "_log_weight_as_image"
_num_scopes = 0
_original: Any = None


@contextlib.contextmanager
def drawing_booleans() -> Iterator[None]:
    """Within this scope `TensorBoard(write_images=True)` draws masks too.

    Keras gives each variable of a layer as it is to `tf.summary.image`, which
    cannot scale booleans, and stops with an error. No callback can reach the
    others in the list, so the class draws them as numbers meanwhile; all else
    it does as before. Scopes may overlap. One that is forgotten, since `fit`
    has failed, ends with the callback that opened it.
    """
    global _num_scopes, _original
    kind = keras.callbacks.TensorBoard
    if not _num_scopes:
        _original = getattr(kind, _NAME)
        setattr(kind, _NAME, _draw)
    _num_scopes += 1
    try:
        yield
    finally:
        _num_scopes -= 1
        if not _num_scopes:
            setattr(kind, _NAME, _original)


def _draw(board: Any, weight: Any, *args: Any, **kwargs: Any) -> None:
    if keras.backend.standardize_dtype(weight.dtype) == "bool":
        weight = ops.cast(weight, "float32")
    _original(board, weight, *args, **kwargs)
