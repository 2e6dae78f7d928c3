"""Sparse models on disk, for runtimes that know nothing of this package."""

from dsr_tf.export.dense import dense_saved_model
from dsr_tf.export.formats.litert import litert
from dsr_tf.export.formats.onnx import onnx
from dsr_tf.export.formats.packed import load_packed
from dsr_tf.export.formats.packed import packed
from dsr_tf.export.formats.saved_model import saved_model

__all__ = [
    "dense_saved_model",
    "litert",
    "load_packed",
    "onnx",
    "packed",
    "saved_model",
]
