"""Networks that are built from text, as Keras writes it in `.keras` files."""

import contextlib
import functools
import json
import math
import threading
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from dsr_tf.core import memory

# One thread at a time is in the scope below. (What it makes may have been
# loaded in the same way.)
_lock = threading.RLock()


def _check_fits(num_bytes: int) -> None:
    memory.check(num_bytes, "its variables")


def built(
    text: str | bytes, check: Callable[[int], None] = _check_fits
) -> keras.Model:
    """A new model of an architecture, not compiled.

    Args:
        text: The architecture.
        check: Function that is called before each weight is made, with the
            bytes of all until then and its own, and may refuse it; by
            default where memory does not suffice.

    Raises:
        Exception: of any kind, if the text is damaged, or what `check`
            raises.
    """
    config = {**json.loads(text), "compile_config": None}
    with _lock, _weighed(check) as refusals:
        try:
            model = keras.saving.deserialize_keras_object(
                config, safe_mode=True
            )
        except Exception as error:
            # Keras hides it behind a sentence of its own.
            raise (refusals or [error])[0] from None
    if not isinstance(model, keras.Model) or not model.built:
        raise ValueError(f"a {type(model).__name__} is no built model")
    return model


@contextlib.contextmanager
def _weighed(check: Callable[[int], None]) -> Iterator[list[Exception]]:
    """Within this scope, this thread makes no weight that is one too many.

    Layers of any kind make theirs by one method of Keras, from shapes that
    the text may claim as it likes.

    Returns:
        What `check` has raised.
    """
    refusals: list[Exception] = []
    of_keras = keras.layers.Layer.add_weight
    thread, num_bytes = threading.get_ident(), 0

    @functools.wraps(of_keras)
    def add_weight(
        layer: keras.layers.Layer,
        shape: Any = None,
        initializer: Any = None,
        dtype: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> keras.Variable:
        nonlocal num_bytes
        if threading.get_ident() == thread:
            kind = keras.backend.standardize_dtype(
                dtype or layer.variable_dtype
            )
            size = math.prod(() if shape is None else tuple(shape))
            num_bytes += size * np.dtype(kind).itemsize
            try:
                check(num_bytes)
            except Exception as error:
                refusals.append(error)
                raise
        return of_keras(layer, shape, initializer, dtype, *args, **kwargs)

    keras.layers.Layer.add_weight = add_weight
    try:
        yield refusals
    finally:
        keras.layers.Layer.add_weight = of_keras
