"""Sparse models on disk, for runtimes that know nothing of this package."""

from dsr_tf.export.saved_model import saved_model

__all__ = ["saved_model"]
