"""LiteRT files (once TensorFlow Lite) whose kernels are stored sparse.

On x86 processors the runtime unpacks sparse kernels when it loads the file:
such a file is smaller, and no faster. In WebAssembly, as browsers run it,
convolutions of 1x1 skip the zeros; docs/export.md says which networks gain.
"""

import os
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dsr_tf.command_line.flag_kinds import Whole
from dsr_tf.conversion import stripped
from dsr_tf.core.checks import is_integer
from dsr_tf.export import signatures
from dsr_tf.export import target
from dsr_tf.export.format import ExportFormat
from dsr_tf.export.format import Option
from dsr_tf.export.format import Report
from dsr_tf.export.format import values_option
from dsr_tf.export.runnable import RunnableModel
from dsr_tf.export.runnable import check_single
from dsr_tf.export.runnable import loading
from dsr_tf.export.runnable import missing

_VALUES = ("float32", "float16")


def litert(
    model: keras.Model,
    path: str | os.PathLike,
    values: str = "float32",
    batch_size: int | None = None,
) -> None:
    """Write a model as a LiteRT file, sparse kernels as positions and values.

    Args:
        model: A built Sequential or functional Keras model.
        path: File to write, ending in `.tflite`, which must not exist; its
            SHA-256 is written beside, to `PATH.sha256`.
        values: `"float32"`, or `"float16"` to round weights to half the
            bytes.
        batch_size: Positive integer, how many inputs each call takes, which
            LiteRT.js must be told; None for any number.

    Raises:
        ValueError: if there is something at `path`, a recurrent layer is
            stateful, the model cannot be converted, or an argument is none
            of the above.
        TypeError: if `model` is no Keras model.
        OSError: if the file cannot be written.
    """
    target.check_model(model, "litert")
    target.check_file(path, ".tflite")
    if values not in _VALUES:
        raise ValueError(
            "`values` must be float32 or float16 for LiteRT. Received: "
            f"values={values!r}"
        )
    if batch_size is not None and (
        not is_integer(batch_size) or batch_size < 1
    ):
        raise ValueError(
            "`batch_size` must be a positive integer or None. Received: "
            f"batch_size={batch_size!r}"
        )
    optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    settings: dict[str, Any] = {}
    if values == "float16":
        optimizations.append(tf.lite.Optimize.DEFAULT)
        settings["target_spec"] = {"supported_types": [tf.float16]}
    dense = stripped(model)
    with target.written_whole(path, "model.tflite") as scratch:
        with target.conversion_errors(model, "LiteRT"):
            # Asked for in any case, to say what a model lacks.
            signature = signatures.for_export(dense, batch_size)
            if batch_size is not None:
                settings["input_signature"] = signature
            dense.export(
                scratch,
                format="litert",
                verbose=False,
                optimizations=optimizations,
                **settings,
            )


def _allocate(interpreter: Any) -> None:
    """Make the tensors, which the runtime does where it has all operations.

    Raises:
        ValueError: if it lacks those of TensorFlow, which it says at length.
    """
    try:
        interpreter.allocate_tensors()
    except RuntimeError as error:
        if "Select TensorFlow op" not in str(error):
            raise
        raise ValueError(
            "it needs TensorFlow's operations, as recurrent layers do, which "
            "ai-edge-litert lacks: the Flex delegate has them"
        ) from error


class LiteRT(ExportFormat):
    """Sparse kernels in a file that is unpacked when it is loaded."""

    name, title, suffix = "litert", "LiteRT", ".tflite"
    options = (
        values_option(*_VALUES),
        Option(
            "batch_size",
            None,
            "How many inputs each call takes, such as 1 for LiteRT.js; not "
            "given: any number.",
            Whole(1),
        ),
    )

    def write(
        self, model: keras.Model, path: str, options: dict[str, Any]
    ) -> None:
        litert(model, path, options["values"], options["batch_size"])

    def report(self, model: keras.Model, options: dict[str, Any]) -> Report:
        return Report(
            "smaller; on x86 no faster, for it is unpacked there; in browsers "
            "convolutions of 1x1 are, see docs/export.md",
            stores_zeros=False,
        )

    def load(self, flag: str, path: str) -> RunnableModel:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise missing(flag, path, "ai-edge-litert") from error
        with loading(flag, path):
            interpreter = Interpreter(path)
            _allocate(interpreter)
            runner = interpreter.get_signature_runner("serving_default")
        inputs = runner.get_input_details()
        check_single(flag, path, inputs, runner.get_output_details())
        ((name, details),) = inputs.items()

        def predict(batch: np.ndarray) -> np.ndarray:
            (outputs,) = runner(**{name: np.asarray(batch)}).values()
            return outputs

        batch_size, *shape = (
            None if n < 0 else int(n)
            for n in details.get("shape_signature", details["shape"])
        )
        takes_all: Callable[[np.ndarray], np.ndarray] = predict
        if batch_size is not None:
            takes_all = _in_batches(predict, batch_size)
        return RunnableModel(path, self.title, takes_all, (None, *shape))


def _in_batches(
    predict: Callable[[np.ndarray], np.ndarray], batch_size: int
) -> Callable[[np.ndarray], np.ndarray]:
    """A function of any number of inputs, from one of `batch_size`."""

    def predict_all(inputs: np.ndarray) -> np.ndarray:
        inputs = np.asarray(inputs)
        # The last batch is filled up with copies, whose outputs are dropped.
        missing = -len(inputs) % batch_size
        whole = np.concatenate([inputs, *[inputs[-1:]] * missing])
        parts = np.split(whole, len(whole) // batch_size)
        outputs = np.concatenate([predict(part) for part in parts])
        return outputs[: len(inputs)]

    return predict_all


FORMAT = LiteRT()
