"""What TensorBoard shows, written by TensorFlow alone.

`tf.summary.scalar` and its like are part of the package `tensorboard`, which
TensorFlow does not install from version 2.21 on. `tf.summary.write` is
TensorFlow's own; the formats are those of TensorBoard's plugins, version 0.
"""

from typing import Any

import numpy as np

_NUM_BUCKETS = 30


def tensorflow(who: str) -> Any:
    """The module `tensorflow`.

    Args:
        who: What needs it.

    Raises:
        ImportError: if it is not installed.
    """
    try:
        import tensorflow as tf
    except ImportError as error:
        raise ImportError(
            f"`{who}` writes files by `tf.summary`: install tensorflow, on "
            "other backends of Keras too."
        ) from error
    return tf


def scalar(tag: str, value: float) -> None:
    """Write a number, to the writer and at the step that are the default."""
    _write(tag, np.float32(value), "scalars", "DATA_CLASS_SCALAR")


def histogram(tag: str, values: np.ndarray) -> None:
    """Write how numbers, an array, are distributed; not those that are not
    finite."""
    finite = values[np.isfinite(values)].astype("float64")
    counts, edges = np.histogram(finite, _NUM_BUCKETS)
    buckets = np.stack([edges[:-1], edges[1:], counts], axis=1)
    _write(tag, buckets, "histograms", "DATA_CLASS_TENSOR")


def image(tag: str, pixels: np.ndarray) -> None:
    """Write an image: float array `(height, width)` in [0, 1]."""
    tf = tensorflow("image")
    gray = np.round(255 * pixels).astype("uint8")[..., None]
    png = tf.io.encode_png(gray)
    height, width = pixels.shape
    _write(
        tag,
        tf.stack([str(width), str(height), png]),
        "images",
        "DATA_CLASS_BLOB_SEQUENCE",
    )


def _write(tag: str, tensor: Any, plugin: str, kind: str) -> None:
    tf = tensorflow("write")
    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = plugin
    # Which of TensorBoard's three ways to store a series; an enumeration.
    field = metadata.DESCRIPTOR.fields_by_name["data_class"]
    metadata.data_class = field.enum_type.values_by_name[kind].number
    tf.summary.write(tag, tensor, metadata=metadata)
