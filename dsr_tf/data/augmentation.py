"""Random views of training images, whole batches at a time, in tf.data.

All draws come from a seed of two integers, so the batch of a step is the
same whenever it is made.
"""

import dataclasses
import math
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    from dsr_tf.data.streaming import AnyData

NAMES = ("none", "crop_flip", "resized_crop")

_PADDING = 4
# Of the crop that is resized: part of the area, width over height, tries.
_AREA = (0.08, 1.0)
_ASPECT = (3 / 4, 4 / 3)
_TRIES = 10


@dataclasses.dataclass(frozen=True)
class Part:
    """One of `number` equal parts of every batch, a worker's own.

    Draws are made for the whole batch, so what a batch holds does not
    depend on how many workers share it.
    """

    index: int = 0
    number: int = 1

    def of(self, values: Any, axis: int = 0) -> Any:
        """This part of a tensor along an axis of known or unknown size."""
        return tf.split(values, self.number, axis)[self.index]


WHOLE = Part()


def crop_and_flip(images: Any, seed: Any, part: Part = WHOLE) -> Any:
    """Reflect 4 pixels at every border, crop at random, mirror half of them.

    The authors' augmentation of CIFAR-10. No padded image is made: to crop
    one is to choose rows and columns of the image itself.

    Args:
        images: Tensor `(batch, height, width, channels)`, at least 5 x 5.
        seed: Integer tensor `(2,)`.
        part: The `Part` of a batch that these images are.

    Returns:
        A tensor like `images`.
    """
    batch, height, width = tf.unstack(tf.shape(images)[:3])
    offsets = tf.random.stateless_uniform(
        [2, batch * part.number, 1], seed, -_PADDING, _PADDING + 1, "int32"
    )
    offsets = part.of(offsets, axis=1)
    mirrored = part.of(coins(batch * part.number, seed))
    rows = _reflect(offsets[0] + tf.range(height), height)
    columns = _reflect(offsets[1] + tf.range(width), width)
    columns = tf.where(mirrored[:, None], columns, columns[:, ::-1])
    # Rows first: each of them is in one piece in memory.
    images = tf.gather(images, rows, axis=1, batch_dims=1)
    return tf.gather(images, columns, axis=2, batch_dims=1)


def resized_crop(images: Any, seed: Any, part: Part = WHOLE) -> Any:
    """Crop as `crop_boxes` says, resize to the old size, mirror half of them.

    Args:
        images: Tensor `(batch, height, width, channels)`.
        seed: Integer tensor `(2,)`.
        part: The `Part` of a batch that these images are.

    Returns:
        A float32 tensor of the same shape.
    """
    batch, height, width = tf.unstack(tf.shape(images)[:3])
    boxes = part.of(crop_boxes(height, width, batch * part.number, seed))
    # In this operation's terms a box reaches from the middle of its first
    # pixel to that of its last.
    top, left, rows, columns = tf.unstack(tf.cast(boxes, "float32"), axis=1)
    bottom, right = top + rows - 1, left + columns - 1
    mirrored = part.of(coins(batch * part.number, seed))
    first = tf.where(mirrored, right, left)
    last = tf.where(mirrored, left, right)
    vertical = tf.maximum(tf.cast(height - 1, "float32"), 1)
    horizontal = tf.maximum(tf.cast(width - 1, "float32"), 1)
    ends = tf.stack(
        [
            top / vertical,
            first / horizontal,
            bottom / vertical,
            last / horizontal,
        ],
        axis=1,
    )
    # Rounding must not carry a pixel over the border, where all is black.
    ends = tf.clip_by_value(ends, 1e-6, 1 - 1e-6)
    resized = tf.image.crop_and_resize(
        images, ends, tf.range(batch), [height, width]
    )
    return tf.ensure_shape(resized, images.shape)


def crop_boxes(height: Any, width: Any, number: Any, seed: Any) -> Any:
    """Boxes of 8 to 100 % of the area and 3:4 to 4:3 in shape, at random.

    "RandomResizedCrop" (Szegedy et al., 2014, as torchvision does it): ten
    tries, then the largest central box of an allowed shape.

    Args:
        height, width: Integer tensors, of the image.
        number: Integer tensor, how many boxes.
        seed: Integer tensor `(2,)`.

    Returns:
        int32 tensor `(number, 4)`: top, left, height, width.
    """
    draws = tf.random.stateless_uniform([4, number, _TRIES], seed)
    high, wide = tf.cast(height, "float32"), tf.cast(width, "float32")
    area = high * wide * (_AREA[0] + draws[0] * (_AREA[1] - _AREA[0]))
    low_log, high_log = (math.log(ratio) for ratio in _ASPECT)
    aspect = tf.exp(low_log + draws[1] * (high_log - low_log))
    columns = tf.round(tf.sqrt(area * aspect))
    rows = tf.round(tf.sqrt(area / aspect))
    fits = (columns >= 1) & (columns <= wide) & (rows >= 1) & (rows <= high)
    first = tf.argmax(tf.cast(fits, "int32"), axis=1, output_type="int32")

    def chosen(values: Any, default: Any) -> Any:
        values = tf.gather(values, first, axis=1, batch_dims=1)
        return tf.where(tf.reduce_any(fits, axis=1), values, default)

    central_columns = tf.minimum(wide, tf.round(high * _ASPECT[1]))
    central_rows = tf.minimum(high, tf.round(wide / _ASPECT[0]))
    rows, columns = chosen(rows, central_rows), chosen(columns, central_columns)
    top = tf.floor(chosen(draws[2], 0.5) * (high - rows + 1))
    left = tf.floor(chosen(draws[3], 0.5) * (wide - columns + 1))
    return tf.cast(tf.stack([top, left, rows, columns], axis=1), "int32")


def coins(batch: Any, seed: Any) -> Any:
    """Random booleans `(batch,)`, independent of other draws from the seed."""
    other = tf.bitwise.invert(tf.cast(seed, "int64"))
    return tf.random.stateless_uniform([batch], other) < 0.5


def _reflect(positions: Any, size: Any) -> Any:
    """Positions, those beyond a border reflected at it."""
    return size - 1 - tf.abs(size - 1 - tf.abs(positions))


def standardise(images: Any, data: "AnyData") -> Any:
    """Subtract the mean of a set from its pixels, divide by its deviation."""
    scale = np.float32(1) / (255 * data.deviation)
    offset = data.mean / data.deviation
    return tf.cast(images, tf.float32) * scale - offset
