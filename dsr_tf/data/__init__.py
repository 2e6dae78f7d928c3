"""Image classification sets and their input pipelines."""

from dsr_tf.data.image_data import DataError
from dsr_tf.data.image_data import ImageData
from dsr_tf.data.image_data import load
from dsr_tf.data.pipeline import steps_per_epoch
from dsr_tf.data.pipeline import test_batches
from dsr_tf.data.pipeline import train_batches

__all__ = [
    "DataError",
    "ImageData",
    "load",
    "steps_per_epoch",
    "test_batches",
    "train_batches",
]
