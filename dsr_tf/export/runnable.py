"""A model on disk that has been loaded, and what all loaders share."""

import contextlib
import dataclasses
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sized
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dsr_tf.command_line import UsageError


@dataclasses.dataclass(frozen=True)
class RunnableModel:
    """A model with one input and one output.

    Attributes:
        path: Its file or folder.
        format: Name of the format, for tables.
        predict: Function from a batch of inputs to outputs, arrays.
        input_shape: Shape of a batch that it takes, None for free axes.
        keras_model: The Keras model, of a file that holds one.
    """

    path: str
    format: str
    predict: Callable[[np.ndarray], np.ndarray]
    input_shape: tuple[int | None, ...]
    keras_model: keras.Model | None = None


def runnable_keras(
    flag: str, path: str, title: str, model: keras.Model
) -> RunnableModel:
    """A loaded Keras model.

    Args:
        flag: Name of the flag that names the file.
        path: Value of that flag.
        title: Name of the format, for tables.
        model: The model.

    Raises:
        UsageError: if it has not one input and one output.
    """
    check_single(flag, path, model.inputs, model.outputs)
    shape = tuple(model.inputs[0].shape)
    return RunnableModel(path, title, _predict(model), shape, model)


def _predict(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """The function of a model, traced once and for batches of any size.

    Keras' own traces anew for each size, of which TensorFlow warns where
    several models are compared: it counts them all as one function.
    """
    if keras.backend.backend() != "tensorflow":
        return model.predict_on_batch
    (given,) = model.inputs
    spec = tf.TensorSpec([None, *given.shape[1:]], given.dtype)
    call = tf.function(
        lambda inputs: model(inputs, training=False),
        # As Keras' own.
        jit_compile=model.jit_compile,
    )
    traced: Any = call.get_concrete_function(spec)

    def predict(batch: np.ndarray) -> np.ndarray:
        outputs = traced(tf.convert_to_tensor(batch, given.dtype))
        return keras.tree.flatten(outputs)[0].numpy()

    return predict


@contextlib.contextmanager
def loading(flag: str, path: str) -> Iterator[None]:
    """Turn any error of loading inside into a `UsageError`.

    Args:
        flag: Name of the flag that names the file.
        path: Value of that flag.
    """
    try:
        yield
    except UsageError:
        raise
    except Exception as error:  # Damaged files raise errors of any kind.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UsageError(
            f"flag --{flag}={path}: cannot be loaded ({reason})"
        ) from error


def missing(flag: str, path: str, package: str) -> UsageError:
    """The error where the package that runs a model is not installed."""
    return UsageError(
        f"flag --{flag}={path}: running it needs the package {package}: "
        "pip install 'dsr_tf[export]'"
    )


def check_single(flag: str, path: str, inputs: Sized, outputs: Sized) -> None:
    """Check that a model has one input and one output.

    Raises:
        UsageError: if it has not.
    """
    for kind, found in (("input", inputs), ("output", outputs)):
        if len(found) != 1:
            raise UsageError(
                f"flag --{flag}={path}: must have one {kind}, but has "
                f"{len(found)} {kind}s"
            )
