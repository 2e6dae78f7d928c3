"""ONNX files, for every runtime that is not TensorFlow's.

The format has sparse tensors, but they take twice the room of ours and
runtimes unpack them: kernels are written dense, which all runtimes read.
"""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from dsr_tf.command_line import UsageError
from dsr_tf.conversion import stripped
from dsr_tf.conversion.state import first_line
from dsr_tf.export import signatures
from dsr_tf.export import target
from dsr_tf.export.format import ExportFormat
from dsr_tf.export.format import Report
from dsr_tf.export.format import values_option
from dsr_tf.export.runnable import RunnableModel
from dsr_tf.export.runnable import check_single
from dsr_tf.export.runnable import loading
from dsr_tf.export.runnable import missing


def onnx(model: keras.Model, path: str | os.PathLike) -> None:
    """Write a model as an ONNX file, dense, with zeros.

    Needs the package `tf2onnx`.

    Args:
        model: A built Sequential or functional Keras model.
        path: File to write, ending in `.onnx`, which must not exist; its
            SHA-256 is written beside, to `PATH.sha256`.

    Raises:
        ValueError: if there is something at `path`, a recurrent layer is
            stateful, the model computes in bfloat16 or cannot be converted
            for another reason, or `tf2onnx` is not installed.
        TypeError: if `model` is no Keras model.
        OSError: if the file cannot be written.
    """
    target.check_model(model, "onnx")
    target.check_file(path, ".onnx")
    try:
        import tf2onnx  # noqa: F401
    except ImportError as error:
        raise ValueError(
            "ONNX files need the package tf2onnx: pip install 'dsr_tf[export]'."
        ) from error
    dense = stripped(model)
    with (
        target.written_whole(path, "model.onnx") as scratch,
        target.conversion_errors(model, "ONNX"),
        warnings.catch_warnings(),
        _quiet(),
    ):
        # About packages that the converter uses, not about the model.
        warnings.simplefilter("ignore", FutureWarning)
        dense.export(
            scratch,
            format="onnx",
            verbose=False,
            input_signature=signatures.for_export(dense),
        )
        _check(scratch, len(dense.inputs))


def _check(path: str, num_inputs: int) -> None:
    """Check what the converter wrote, which only logs what it cannot do.

    Raises:
        ValueError: if no runtime could load it, tensors that the model
            keeps outside of variables have become inputs, or it computes in
            bfloat16.
    """
    import onnx

    try:
        onnx.checker.check_model(path)
    except onnx.checker.ValidationError as error:
        raise ValueError(str(error).split(" with domain_version")[0]) from error
    graph = onnx.load(path).graph
    if len(graph.input) != num_inputs:
        raise ValueError(
            f"it would have {len(graph.input)} inputs instead of {num_inputs}, "
            "for a layer such as Normalization keeps tensors beside its "
            "variables"
        )
    bfloat16 = onnx.TensorProto.BFLOAT16
    if any(tensor.data_type == bfloat16 for tensor in _tensors(graph)):
        _check_loads(path)


def _tensors(graph: Any) -> Iterator[Any]:
    """The tensors that a graph holds, and those of the loops in it."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield attribute.t
            yield from _tensors(attribute.g)


def _check_loads(path: str) -> None:
    """Try a file with bfloat16, which the converter takes for float16.

    Runtimes look such numbers up, but do not compute with them.

    Raises:
        ValueError: if onnxruntime does not load it, or is not there.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ValueError(
            "to try whether a file with bfloat16 loads needs the package "
            "onnxruntime: pip install 'dsr_tf[export]'"
        ) from error
    try:
        onnxruntime.InferenceSession(path)
    except Exception as error:  # Of many kinds, all of the runtime's own.
        raise ValueError(
            "it would have tensors in bfloat16, and onnxruntime does not load "
            f"it ({first_line(error)[:200]}): make the model with the dtype "
            "policy float32 or mixed_float16 and load its weights into that"
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the log of the converter: its errors become exceptions."""
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


class ONNX(ExportFormat):
    """Dense kernels in a file that most runtimes read."""

    name, title, suffix = "onnx", "ONNX", ".onnx"
    options = (values_option("float32"),)

    def check_options(self, options: dict[str, Any]) -> None:
        try:
            import tf2onnx  # noqa: F401
        except ImportError as error:
            raise UsageError(
                f"flag --format={self.name}: needs the package tf2onnx: pip "
                "install 'dsr_tf[export]'"
            ) from error

    def write(
        self, model: keras.Model, path: str, options: dict[str, Any]
    ) -> None:
        onnx(model, path)

    def report(self, model: keras.Model, options: dict[str, Any]) -> Report:
        return Report(
            "nothing but its readers: it stores and multiplies all zeros",
            stores_zeros=True,
        )

    def load(self, flag: str, path: str) -> RunnableModel:
        try:
            import onnxruntime
        except ImportError as error:
            raise missing(flag, path, "onnxruntime") from error
        with loading(flag, path):
            session = onnxruntime.InferenceSession(path)
        inputs = session.get_inputs()
        check_single(flag, path, inputs, session.get_outputs())

        def predict(batch: np.ndarray) -> np.ndarray:
            (outputs,) = session.run(None, {inputs[0].name: np.asarray(batch)})
            return outputs

        shape = tuple(
            n if isinstance(n, int) else None for n in inputs[0].shape
        )
        return RunnableModel(path, self.title, predict, shape)


FORMAT = ONNX()
