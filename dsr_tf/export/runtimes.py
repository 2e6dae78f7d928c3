"""Trained models in every format that this package writes, to predict with."""

import dataclasses
import os

import numpy as np

from dsr_tf.command_line import UsageError
from dsr_tf.export import digest
from dsr_tf.training.earlier_runs import load_keras
from dsr_tf.training.earlier_runs import loading

SAVED_MODEL, KERAS, LITERT, ONNX = "SavedModel", "Keras", "LiteRT", "ONNX"
_FORMATS = {".keras": KERAS, ".tflite": LITERT, ".onnx": ONNX}


@dataclasses.dataclass(frozen=True)
class RunnableModel:
    """A model with one input and one output.

    Attributes:
        path: Its file or folder.
        format: Name of the format.
        predict: Function from a batch of inputs to outputs, arrays.
        input_shape: Shape of a batch that it takes, None for free axes.
        keras_model: The Keras model, of a `.keras` file only.
    """

    path: str
    format: str
    predict: object
    input_shape: tuple
    keras_model: object = None


def find(path):
    """The model that a path names: itself, or that of the folder of a run.

    Raises:
        UsageError: if there is none.
    """
    if os.path.isdir(os.path.join(path, "saved_model")):
        path = os.path.join(path, "saved_model")
    if format_of(path) is None:
        raise UsageError(
            f"flag --model={path}: must be a SavedModel, a .keras, .tflite or "
            ".onnx file, or the folder of a finished run"
        )
    return path


def format_of(path):
    """Name of the format, None if it is none."""
    if os.path.isfile(os.path.join(path, "saved_model.pb")):
        return SAVED_MODEL
    if os.path.isfile(path):
        return _FORMATS.get(os.path.splitext(path)[1])
    return None


def load(flag, path):
    """Load a model of any format.

    Args:
        flag: Name of the flag that names it, for messages.
        path: File or folder, see `find`.

    Returns:
        A `RunnableModel`.

    Raises:
        UsageError: if it cannot be loaded, is not as it was written (where
            there are digests, see `dsr_tf.export.digest`), its runtime is
            not installed, or it has several inputs or outputs.
    """
    loaders = {
        SAVED_MODEL: _load_saved_model,
        KERAS: _load_keras,
        LITERT: _load_litert,
        ONNX: _load_onnx,
    }
    with loading(flag, path):
        digest.check(path)
    return loaders[format_of(path)](flag, path)


def _load_keras(flag, path):
    model = load_keras(flag, path)
    _check_one(flag, path, "input", model.inputs)
    _check_one(flag, path, "output", model.outputs)
    return RunnableModel(
        path, KERAS, model.predict_on_batch, tuple(model.inputs[0].shape), model
    )


def _load_saved_model(flag, path):
    import tensorflow as tf

    with loading(flag, path):
        loaded = tf.saved_model.load(path)
        serve = loaded.signatures["serving_default"]
    inputs = serve.structured_input_signature[1]
    _check_one(flag, path, "input", inputs)
    _check_one(flag, path, "output", serve.structured_outputs)
    ((name, spec),) = inputs.items()

    def predict(batch):
        (outputs,) = serve(**{name: tf.convert_to_tensor(batch)}).values()
        return outputs.numpy()

    shape = tuple(spec.shape.as_list())
    # The signature needs the object that holds its weights.
    predict.loaded = loaded
    return RunnableModel(path, SAVED_MODEL, predict, shape)


def _load_litert(flag, path):
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise _missing(flag, path, "ai-edge-litert") from error
    with loading(flag, path):
        interpreter = Interpreter(path)
        runner = interpreter.get_signature_runner("serving_default")
    inputs = runner.get_input_details()
    _check_one(flag, path, "input", inputs)
    _check_one(flag, path, "output", runner.get_output_details())
    ((name, details),) = inputs.items()

    def predict(batch):
        (outputs,) = runner(**{name: np.asarray(batch)}).values()
        return outputs

    shape = tuple(
        None if n < 0 else int(n)
        for n in details.get("shape_signature", details["shape"])
    )
    return RunnableModel(path, LITERT, predict, shape)


def _load_onnx(flag, path):
    try:
        import onnxruntime
    except ImportError as error:
        raise _missing(flag, path, "onnxruntime") from error
    with loading(flag, path):
        session = onnxruntime.InferenceSession(path)
    inputs = session.get_inputs()
    _check_one(flag, path, "input", inputs)
    _check_one(flag, path, "output", session.get_outputs())

    def predict(batch):
        (outputs,) = session.run(None, {inputs[0].name: np.asarray(batch)})
        return outputs

    shape = tuple(n if isinstance(n, int) else None for n in inputs[0].shape)
    return RunnableModel(path, ONNX, predict, shape)


def _missing(flag, path, package):
    return UsageError(
        f"flag --{flag}={path}: running it needs the package {package}: "
        "pip install 'dsr_tf[export]'"
    )


def _check_one(flag, path, kind, found):
    if len(found) != 1:
        raise UsageError(
            f"flag --{flag}={path}: must have one {kind}, but has "
            f"{len(found)} {kind}s"
        )
