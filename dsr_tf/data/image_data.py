"""Image classification sets, as arrays in memory."""

import dataclasses

import numpy as np

DIGITS = "digits"

# Per channel, of pixels in [0, 1]: the authors' numbers. Other sets are
# standardised by the mean and deviation of their own training images.
_STATISTICS = {
    "mnist": ((0.1307,), (0.3081,)),
    "cifar10": (
        (125.3 / 255, 123.0 / 255, 113.9 / 255),
        (63.0 / 255, 62.1 / 255, 66.7 / 255),
    ),
}
_TEST_SPLITS = ("test", "validation")
_MAX_BYTES = 8 * 2**30


class DataError(ValueError):
    """A data set that is not there, or not what training needs."""


@dataclasses.dataclass(frozen=True)
class ImageData:
    """A set of images with labels, decoded.

    Attributes:
        name: Name of the set.
        train_images, test_images: uint8 `(n, height, width, channels)`.
        train_labels, test_labels: int32 `(n,)`, from 0 to num_classes - 1.
        num_classes: Number of classes.
        mean, deviation: Arrays `(channels,)`, of pixels in [0, 1].
    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    num_classes: int
    mean: np.ndarray
    deviation: np.ndarray

    @property
    def image_shape(self):
        return self.train_images.shape[1:]


def load(name, data_dir=None):
    """Load an image classification set.

    Args:
        name: `"digits"`, the 1,797 scans of 8x8 pixels that scikit-learn
            ships (a fifth of them for the test), or the name of a set of
            TensorFlow Datasets with features `image` and `label`.
        data_dir: Folder of TensorFlow Datasets, None for its default. A
            set that is not in it is downloaded to it.

    Returns:
        An `ImageData`.

    Raises:
        DataError: if the set does not exist, cannot be had, or is no set of
            labelled images of one size that fits into memory.
    """
    if name == DIGITS:
        return _load_digits()
    builder = _prepared_builder(name, data_dir)
    train, test = _splits(name, builder)
    return _assemble(
        name, *train, *test, builder.info.features["label"].num_classes
    )


def _load_digits():
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
    return _assemble(DIGITS, train_x, train_y, test_x, test_y, 10)


def _prepared_builder(name, data_dir):
    import tensorflow_datasets as tfds

    where = f"data_dir={data_dir}" if data_dir else "the default data_dir"
    # TFDS raises errors of any kind, of its own and of what it stands on;
    # each is told in the sentence and kept as the cause.
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except Exception as error:
        raise DataError(
            f"There is no data set {name!r}, neither {DIGITS!r} nor one of "
            f"TensorFlow Datasets in {where} ({_first_line(error)})"
        ) from error
    try:
        builder.download_and_prepare()
    except Exception as error:
        raise DataError(
            f"The data set {name!r} is not in {where} and could not be "
            f"downloaded ({_first_line(error)})"
        ) from error
    return builder


def _splits(name, builder):
    features, splits = builder.info.features, builder.info.splits
    test = next((s for s in _TEST_SPLITS if s in splits), None)
    missing = [f for f in ("image", "label") if f not in (features or ())]
    if missing or "train" not in splits or test is None:
        raise DataError(
            f"{name!r} is no image classification set: it needs the features "
            "`image` and `label` and the splits `train` and `test` (or "
            f"`validation`), and has {sorted(features)} and {sorted(splits)}"
        )
    shape = features["image"].shape
    if None in shape:
        raise DataError(
            f"The images of {name!r} differ in size, {shape}: only sets of "
            "images of one size can be trained on"
        )
    count = splits["train"].num_examples + splits[test].num_examples
    if count * int(np.prod(shape)) > _MAX_BYTES:
        raise DataError(
            f"The {count} images {shape} of {name!r} do not fit into the "
            f"{_MAX_BYTES >> 30} GiB that a set may take in memory"
        )
    return _decode(builder, "train"), _decode(builder, test)


def _decode(builder, split):
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
        images[start:end], labels[start:end] = batch["image"], batch["label"]
        start = end
    return images, labels


def _assemble(name, train_x, train_y, test_x, test_y, num_classes):
    if name in _STATISTICS:
        mean, deviation = (np.array(s) for s in _STATISTICS[name])
    else:
        mean, deviation = _measure(train_x)
    return ImageData(
        name,
        train_x,
        train_y,
        test_x,
        test_y,
        num_classes,
        mean.astype("float32"),
        deviation.astype("float32"),
    )


def _measure(images):
    """Mean and deviation of each channel, exact, without a float copy."""
    channels = images.shape[-1]
    counts = np.stack(
        [
            np.bincount(images[..., c].reshape(-1), minlength=256)
            for c in range(channels)
        ]
    )
    levels = np.arange(256) / 255
    mean = counts @ levels / counts.sum(axis=1)
    variance = counts @ levels**2 / counts.sum(axis=1) - mean**2
    return mean, np.sqrt(np.maximum(variance, 1e-12))


def _first_line(error):
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]
