"""LiteRT files (once TensorFlow Lite) whose kernels are stored sparse.

On x86 processors the runtime unpacks sparse kernels when it loads the file:
such a file is smaller, and no faster.
"""

import os
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dsr_tf.conversion import stripped
from dsr_tf.export import target
from dsr_tf.export.format import ExportFormat
from dsr_tf.export.format import Report
from dsr_tf.export.format import values_option
from dsr_tf.export.runnable import RunnableModel
from dsr_tf.export.runnable import check_single
from dsr_tf.export.runnable import loading
from dsr_tf.export.runnable import missing

_VALUES = ("float32", "float16")


def litert(
    model: keras.Model, path: str | os.PathLike, values: str = "float32"
) -> None:
    """Write a model as a LiteRT file, sparse kernels as positions and values.

    Args:
        model: A built Sequential or functional Keras model.
        path: File to write, ending in `.tflite`, which must not exist; its
            SHA-256 is written beside, to `PATH.sha256`.
        values: `"float32"`, or `"float16"` to round weights to half the
            bytes.

    Raises:
        ValueError: if there is something at `path`, the model cannot be
            converted, or an argument is none of the above.
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
    optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    settings = {}
    if values == "float16":
        optimizations.append(tf.lite.Optimize.DEFAULT)
        settings["target_spec"] = {"supported_types": [tf.float16]}
    dense = stripped(model)
    with target.written_whole(path, "model.tflite") as scratch:
        with target.conversion_errors(model, "LiteRT"):
            dense.export(
                scratch,
                format="litert",
                verbose=False,
                optimizations=optimizations,
                **settings,
            )


class LiteRT(ExportFormat):
    """Sparse kernels in a file that is unpacked when it is loaded."""

    name, title, suffix = "litert", "LiteRT", ".tflite"
    options = (values_option(*_VALUES),)

    def write(
        self, model: keras.Model, path: str, options: dict[str, Any]
    ) -> None:
        litert(model, path, options["values"])

    def report(self, model: keras.Model, options: dict[str, Any]) -> Report:
        return Report(
            "smaller; no faster than a dense one on x86, where it is unpacked",
            stores_zeros=False,
        )

    def load(self, flag: str, path: str) -> RunnableModel:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise missing(flag, path, "ai-edge-litert") from error
        with loading(flag, path):
            interpreter = Interpreter(path)
            runner = interpreter.get_signature_runner("serving_default")
        inputs = runner.get_input_details()
        check_single(flag, path, inputs, runner.get_output_details())
        ((name, details),) = inputs.items()

        def predict(batch: np.ndarray) -> np.ndarray:
            (outputs,) = runner(**{name: np.asarray(batch)}).values()
            return outputs

        shape = tuple(
            None if n < 0 else int(n)
            for n in details.get("shape_signature", details["shape"])
        )
        return RunnableModel(path, self.title, predict, shape)


FORMAT = LiteRT()
