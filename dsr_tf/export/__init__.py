"""Sparse models on disk, for runtimes that know nothing of this package."""

from dsr_tf.export.dense import dense_saved_model
from dsr_tf.export.litert_file import litert
from dsr_tf.export.onnx_file import onnx
from dsr_tf.export.saved_model import saved_model

__all__ = ["dense_saved_model", "litert", "onnx", "saved_model"]
