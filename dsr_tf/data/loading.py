"""From the name of a set to the set: in memory where it fits, or streamed."""

import math
import os
import re
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from dsr_tf.core import memory
from dsr_tf.data import image_folder
from dsr_tf.data.image_data import DataError
from dsr_tf.data.image_data import ImageData
from dsr_tf.data.image_data import assemble
from dsr_tf.data.streaming import AnyData
from dsr_tf.data.streaming import Records
from dsr_tf.data.streaming import StreamedData

DIGITS = "digits"
RANDOM = "random"
IMAGE_FOLDER = "image_folder"

_RANDOM_IMAGES, _RANDOM_TESTS, _RANDOM_CLASSES = 12_800, 256, 1000
_DEFAULT_SIZE = 224
_TEST_SPLITS = ("test", "validation")
_MAX_BYTES = 8 * 2**30
# Memory must hold at least this many test images at a time.
_IMAGES_AT_ONCE = 1000


def load(
    name: str,
    data_dir: str | os.PathLike | None = None,
    image_size: int | None = None,
) -> AnyData:
    """Load an image classification set.

    Args:
        name: `"digits"`, the 1,797 scans of 8x8 pixels that scikit-learn
            ships (a fifth of them for the test); `"random"`, 12,800 images
            of noise and 1,000 classes, to measure time with;
            `"image_folder"`, files in `data_dir/train/CLASS/` and
            `data_dir/test/CLASS/` (or `val`, `validation`); or the name of
            a set of TensorFlow Datasets with features `image` and `label`.
        data_dir: Folder of TensorFlow Datasets, None for its default. A
            set that is not in it is downloaded to it.
        image_size: Height and width that images are resized to where they
            differ in size (224 if None), or of images of noise (32 if None).

    Returns:
        An `ImageData`; a `StreamedData` where images differ in size or are
        too many for memory.

    Raises:
        DataError: if the set does not exist, cannot be downloaded, is no
            set of labelled images, or not of `image_size`.
    """
    data: AnyData
    if name == DIGITS:
        data = _load_digits()
    elif name == RANDOM:
        data = _draw(image_size or 32)
    elif name == IMAGE_FOLDER:
        train, test, classes = image_folder.find(data_dir)
        size = image_size or _DEFAULT_SIZE
        data = StreamedData(name, len(classes), size, train, test)
    else:
        data = _load_tfds(name, data_dir, image_size)
    _check_size(name, data.image_shape, image_size)
    _check_memory(
        4 * _IMAGES_AT_ONCE * math.prod(data.image_shape),
        f"{_IMAGES_AT_ONCE} images of {name!r}",
        data.image_shape[0],
    )
    return data


def _check_size(
    name: str, image_shape: Sequence[int | None], image_size: int | None
) -> None:
    if image_size and tuple(image_shape[:2]) != (image_size, image_size):
        raise DataError(
            f"The images of {name!r} are all of one size, "
            f"{tuple(image_shape)}, and stay so. Received: image_size="
            f"{image_size}"
        )


def _check_memory(num_bytes: int, what: str, image_size: int) -> None:
    try:
        memory.check(num_bytes, what)
    except ValueError as error:
        raise DataError(f"{error}. Received: image_size={image_size}") from None


def _load_digits() -> ImageData:
    from sklearn import datasets
    from sklearn import model_selection

    digits = datasets.load_digits()
    images = np.round(digits.images[..., None] * (255 / 16)).astype("uint8")
    train_x, test_x, train_y, test_y = model_selection.train_test_split(
        images,
        digits.target.astype("int32"),
        test_size=0.2,
        random_state=0,
        stratify=digits.target,
    )
    return assemble(DIGITS, train_x, train_y, test_x, test_y, 10)


def _draw(size: int) -> ImageData:
    _check_memory(
        (_RANDOM_IMAGES + _RANDOM_TESTS) * 3 * size**2,
        f"{_RANDOM_IMAGES + _RANDOM_TESTS:,} images of noise",
        size,
    )
    generator = np.random.default_rng(0)

    def split(number: int) -> tuple[np.ndarray, np.ndarray]:
        shape = (number, size, size, 3)
        images = np.frombuffer(
            generator.bytes(math.prod(shape)), "uint8"
        ).reshape(shape)
        labels = generator.integers(_RANDOM_CLASSES, size=number)
        return images, labels.astype("int32")

    return assemble(
        RANDOM,
        *split(_RANDOM_IMAGES),
        *split(_RANDOM_TESTS),
        _RANDOM_CLASSES,
    )


def _load_tfds(
    name: str, data_dir: str | os.PathLike | None, image_size: int | None
) -> AnyData:
    builder = _prepared_builder(name, data_dir)
    try:
        test = _check_splits(name, builder)
        _check_files(name, builder, ("train", test))
        features, splits = builder.info.features, builder.info.splits
        shape = features["image"].shape
        num_classes = features["label"].num_classes
        count = splits["train"].num_examples + splits[test].num_examples
        if None in shape[:2] or count * math.prod(shape) > _MAX_BYTES:
            size = image_size or _DEFAULT_SIZE
            return StreamedData(
                name,
                num_classes,
                size,
                Records(builder, "train"),
                Records(builder, test),
            )
        _check_size(name, shape, image_size)
        decoded = _decode(builder, "train"), _decode(builder, test)
    except DataError:
        raise
    except Exception as error:  # Damaged files raise errors of any kind.
        raise DataError(
            f"The files of {name!r} in {builder.data_dir} cannot be read "
            f"({_first_line(error)})"
        ) from error
    (train_x, train_y), (test_x, test_y) = decoded
    return assemble(name, train_x, train_y, test_x, test_y, num_classes)


def _prepared_builder(name: str, data_dir: str | os.PathLike | None) -> Any:
    import tensorflow_datasets as tfds

    where = f"data_dir={data_dir}" if data_dir else "the default data_dir"
    # TFDS raises errors of any kind, of its own and of what it stands on;
    # each is told in the sentence and kept as the cause.
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except Exception as error:
        raise DataError(
            f"There is no data set {name!r}, neither {DIGITS!r}, {RANDOM!r} "
            f"or {IMAGE_FOLDER!r} nor one of TensorFlow Datasets in {where} "
            f"({_first_line(error)})"
        ) from error
    try:
        if not builder.is_prepared():
            if data_dir and not _is_place(data_dir):
                raise DataError(
                    f"{where} is no folder: make it, where {name!r} is to be "
                    "downloaded there"
                )
            logging.warning(
                "The data set %r is not in %s: it is going to be downloaded",
                name,
                where,
            )
        builder.download_and_prepare()
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"The data set {name!r} is not in {where} and could not be "
            f"downloaded ({_first_line(error)}); if it is on this machine, "
            "give the folder that it is in as data_dir"
        ) from error
    return builder


def _is_place(data_dir: str | os.PathLike) -> bool:
    """Whether files can be written there: stores of objects have no folders."""
    path = os.fspath(data_dir)
    return "://" in path or os.path.isdir(os.path.expanduser(path))


def _check_splits(name: str, builder: Any) -> str:
    """The name of the split to test on."""
    import tensorflow_datasets as tfds

    features, splits = builder.info.features, builder.info.splits
    test = next((s for s in _TEST_SPLITS if s in splits), None)
    kinds = {"image": tfds.features.Image, "label": tfds.features.ClassLabel}
    fits = isinstance(features, dict) or hasattr(features, "keys")
    fits = fits and all(
        name in features and isinstance(features[name], kind)
        for name, kind in kinds.items()
    )
    if not fits or "train" not in splits or test is None:
        raise DataError(
            f"{name!r} is no image classification set: it needs the features "
            "`image` and `label` and the splits `train` and `test` (or "
            f"`validation`), and has {sorted(features or ())} and "
            f"{sorted(splits)}"
        )
    if features["image"].np_dtype != np.uint8:
        raise DataError(
            f"{name!r} must have images of whole numbers from 0 to 255, not "
            f"of {np.dtype(features['image'].np_dtype).name}"
        )
    if not features["label"].num_classes:
        raise DataError(f"{name!r} does not tell how many classes it has")
    for split in ("train", test):
        if not splits[split].num_examples:
            raise DataError(f"{name!r} has no images in its split {split!r}")
    return test


def _check_files(name: str, builder: Any, splits: Iterable[str]) -> None:
    """All files of a set must be there, before one is read."""
    for split in splits:
        for path in builder.info.splits[split].filepaths:
            if not tf.io.gfile.exists(str(path)):
                raise DataError(f"The file {path} of {name!r} is missing")


def _decode(builder: Any, split: str) -> tuple[np.ndarray, np.ndarray]:
    num_examples = builder.info.splits[split].num_examples
    images = np.empty(
        (num_examples, *builder.info.features["image"].shape), "uint8"
    )
    labels = np.empty(num_examples, "int32")
    examples = builder.as_dataset(
        split=split, batch_size=1000, shuffle_files=False
    )
    start = 0
    for batch in examples.as_numpy_iterator():
        end = start + len(batch["label"])
        if end <= num_examples:
            images[start:end] = batch["image"]
            labels[start:end] = batch["label"]
        start = end
    if start != num_examples:
        raise ValueError(
            f"{start} examples in the split {split!r} instead of {num_examples}"
        )
    return images, labels


def _first_line(error: Exception) -> str:
    """What an error says, without the places in TensorFlow's graph."""
    text = _PLACES.sub("", str(error)).strip() or type(error).__name__
    return text.splitlines()[0]


_PLACES = re.compile(r"\{\{.*?\}\}\s*|\s*\[Op:\w+\].*")
