"""The model that a verb changes: a copy of what it was given, or that."""

import contextlib

import keras

from dsr_tf.conversion.graph import Changes
from dsr_tf.conversion.graph import rebuild


def prepared(
    model: keras.Model,
    verb: str,
    inplace: bool,
    changes: Changes | None = None,
) -> keras.Model:
    """A copy of a model, or with `inplace` the model itself.

    Args:
        model: A built Keras model.
        verb: The name of the function that changes it.
        inplace: Whether the model itself is changed.
        changes: As for `rebuild`, for copies.

    Raises:
        ValueError: if the model cannot be copied.
    """
    if inplace:
        # What Keras has compiled reads weights as they were.
        for part in model._flatten_layers():
            if isinstance(part, keras.Model):
                part.train_function = part.test_function = None
                part.predict_function = None
        return model
    try:
        return rebuild(model, changes)
    except ValueError as error:
        raise ValueError(
            f"{str(error).rstrip('.')}. `{verb}(model, ..., inplace=True)` "
            "takes no copy and converts the layers of the model itself."
        ) from error


def scope_of(model: keras.Model) -> contextlib.AbstractContextManager:
    """The scope that new variables of a model must be made in."""
    strategy = getattr(model, "distribute_strategy", None)
    return contextlib.nullcontext() if strategy is None else strategy.scope()
