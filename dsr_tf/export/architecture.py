"""Networks that are built from text, as Keras writes it in `.keras` files."""

import contextlib
import functools
import json
import math
import threading
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from dsr_tf.core import memory

# The scope below is that of all threads.
_lock = threading.Lock()


def built(text: str | bytes) -> keras.Model:
    """A new model of an architecture, not compiled.

    Raises:
        Exception: of any kind, if the text is damaged, or says that the
            model has more weights than memory suffices for.
    """
    config = {**json.loads(text), "compile_config": None}
    with _lock, _weighed():
        model = keras.saving.deserialize_keras_object(config, safe_mode=True)
    if not isinstance(model, keras.Model) or not model.built:
        raise ValueError(f"a {type(model).__name__} is no built model")
    return model


@contextlib.contextmanager
def _weighed() -> Iterator[None]:
    """Within this scope, no weight is made that is one too many for memory.

    Layers of any kind make theirs by one method of Keras, from shapes that
    the text may claim as it likes.
    """
    of_keras = keras.layers.Layer.add_weight
    num_bytes = 0

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
        name = keras.backend.standardize_dtype(dtype or layer.variable_dtype)
        num_bytes += math.prod(shape or ()) * np.dtype(name).itemsize
        memory.check(num_bytes, "its variables")
        return of_keras(layer, shape, initializer, dtype, *args, **kwargs)

    keras.layers.Layer.add_weight = add_weight
    try:
        yield
    finally:
        keras.layers.Layer.add_weight = of_keras
