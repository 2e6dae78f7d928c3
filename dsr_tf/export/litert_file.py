"""LiteRT files (once TensorFlow Lite) whose kernels are stored sparse.

On x86 processors the runtime unpacks sparse kernels when it loads the file:
such a file is smaller, and no faster.
"""

from dsr_tf.conversion import stripped
from dsr_tf.export import target

VALUES = ("float32", "float16")


def litert(model, path, values="float32"):
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
    if values not in VALUES:
        raise ValueError(
            "`values` must be float32 or float16 for LiteRT. Received: "
            f"values={values!r}"
        )
    import tensorflow as tf

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
