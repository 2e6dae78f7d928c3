"""Networks that are built from text, as Keras writes it in `.keras` files."""

import json

import keras
import tensorflow as tf


def built(text: str | bytes) -> keras.Model:
    """A new model of an architecture, not compiled.

    Raises:
        Exception: of any kind, if the text is damaged.
    """
    config = {**json.loads(text), "compile_config": None}
    model = keras.saving.deserialize_keras_object(config, safe_mode=True)
    if not isinstance(model, keras.Model) or not model.built:
        raise ValueError(f"a {type(model).__name__} is no built model")
    return model


def without_values(text: str | bytes) -> keras.Model:
    """The same model, whose variables have shapes only.

    It says how large the model would be, before it is there.
    """
    with tf.Graph().as_default():  # which nobody runs
        return built(text)
