"""ONNX files, for every runtime that is not TensorFlow's.

The format has sparse tensors, but they take twice the room of ours and
runtimes unpack them: kernels are written dense, which all runtimes read.
"""

import warnings

import keras

from dsr_tf.conversion import stripped
from dsr_tf.export import target


def onnx(model, path):
    """Write a model as an ONNX file, dense, with zeros.

    Needs the package `tf2onnx`.

    Args:
        model: A built Sequential or functional Keras model.
        path: File to write, ending in `.onnx`, which must not exist.

    Raises:
        ValueError: if there is something at `path`, the model cannot be
            converted, or `tf2onnx` is not installed.
        TypeError: if `model` is no Keras model.
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
    inputs = getattr(dense, "_inputs_struct", None)
    if isinstance(dense, keras.Sequential):
        (inputs,) = dense.inputs
    with (
        target.written_whole(path, "model.onnx") as scratch,
        warnings.catch_warnings(),
    ):
        # Of what the converter is made of, not of the model.
        warnings.simplefilter("ignore", FutureWarning)
        dense.export(
            scratch,
            format="onnx",
            verbose=False,
            input_signature=[keras.tree.map_structure(_spec, inputs)],
        )


def _spec(tensor):
    return keras.InputSpec(
        shape=(None, *tensor.shape[1:]), dtype=tensor.dtype, name=tensor.name
    )
