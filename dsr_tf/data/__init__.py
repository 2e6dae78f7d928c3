"""Image classification sets and their input pipelines."""

from types import ModuleType
from typing import Any

from dsr_tf.data import pipeline
from dsr_tf.data import streaming
from dsr_tf.data.augmentation import NAMES as AUGMENTATIONS
from dsr_tf.data.augmentation import WHOLE
from dsr_tf.data.augmentation import Part
from dsr_tf.data.image_data import DataError
from dsr_tf.data.image_data import ImageData
from dsr_tf.data.loading import load
from dsr_tf.data.streaming import AnyData
from dsr_tf.data.streaming import StreamedData

__all__ = [
    "AUGMENTATIONS",
    "DataError",
    "ImageData",
    "Part",
    "StreamedData",
    "check_augmentation",
    "load",
    "test_batches",
    "train_batches",
]


def check_augmentation(data: AnyData, augmentation: str) -> None:
    """Refuse an augmentation that does not go with a set.

    Raises:
        DataError: if its images are streamed and it is `crop_flip`.
    """
    if augmentation == "crop_flip" and isinstance(data, StreamedData):
        raise DataError(
            f"The images of {data.name!r} differ in size or do not fit into "
            "memory; for such the augmentation is resized_crop or none. "
            "Received: augmentation=crop_flip"
        )


def train_batches(
    data: AnyData,
    batch_size: int,
    seed: int,
    first_step: int = 0,
    augmentation: str = "none",
    part: Part = WHOLE,
) -> Any:
    """An endless dataset of shuffled training batches.

    What a batch holds depends on (seed, step) only. An incomplete batch at
    the end of an epoch is dropped.

    Args:
        data: An `ImageData` or a `StreamedData`.
        batch_size: Images a batch, at most `data.num_train`.
        seed: Integer that order and views depend on.
        first_step: Number of batches to skip.
        augmentation: One of `AUGMENTATIONS`.
        part: The `Part` of every batch to make, of `batch_size /
            part.number` images.

    Returns:
        A `tf.data.Dataset` of (float32 images, int32 labels).

    Raises:
        DataError: see `check_augmentation`.
    """
    check_augmentation(data, augmentation)
    return _module(data).train_batches(
        data, batch_size, seed, first_step, augmentation, part
    )


def test_batches(
    data: AnyData, batch_size: int = 1000, part: Part = WHOLE
) -> Any:
    """The test images in order; the last batch may be shorter.

    Part `i` of `n` parts holds the images `i`, `i + n`, `i + 2n`, ...
    """
    return _module(data).test_batches(data, batch_size, part)


def _module(data: AnyData) -> ModuleType:
    return streaming if isinstance(data, StreamedData) else pipeline
