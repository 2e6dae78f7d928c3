"""Image classification sets, as arrays in memory."""

import dataclasses

import numpy as np

# Per channel, of pixels in [0, 1]: the authors' numbers. Other sets are
# standardised by the mean and deviation of their own training images.
_STATISTICS = {
    "mnist": ((0.1307,), (0.3081,)),
    "cifar10": (
        (125.3 / 255, 123.0 / 255, 113.9 / 255),
        (63.0 / 255, 62.1 / 255, 66.7 / 255),
    ),
}


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
    def image_shape(self) -> tuple[int, ...]:
        return self.train_images.shape[1:]

    @property
    def num_train(self) -> int:
        return len(self.train_images)

    @property
    def num_test(self) -> int:
        return len(self.test_images)


def assemble(
    name: str,
    train_x: np.ndarray,
    train_y: np.ndarray,
    test_x: np.ndarray,
    test_y: np.ndarray,
    num_classes: int,
) -> ImageData:
    """An `ImageData` of these arrays, with the statistics of its name.

    Raises:
        DataError: if a label is no class.
    """
    for labels in (train_y, test_y):
        if labels.min() < 0 or labels.max() >= num_classes:
            raise DataError(
                f"The labels of {name!r} must be from 0 to {num_classes - 1}, "
                f"and reach from {labels.min()} to {labels.max()}"
            )
    if name in _STATISTICS:
        mean, deviation = (np.array(s) for s in _STATISTICS[name])
    else:
        mean, deviation = measure(train_x)
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


def measure(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
