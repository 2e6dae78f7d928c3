"""Batches of images in memory, the same for the same seed."""

from typing import Any

import numpy as np
import tensorflow as tf

from dsr_tf.data import augmentation as augmentations
from dsr_tf.data.augmentation import Part
from dsr_tf.data.image_data import ImageData


def train_batches(
    data: ImageData,
    batch_size: int,
    seed: int,
    first_step: int,
    augmentation: str,
    part: Part,
) -> Any:
    """See `dsr_tf.data.train_batches`.

    The images of epoch e are in the order of a shuffle that depends on
    (seed, e) only, and the views in a batch depend on (seed, step) only, so
    skipping to any step gives the batches that a run from the start would
    see there.
    """
    steps = data.num_train // batch_size
    with tf.device("CPU"):
        images = tf.constant(data.train_images)
        labels = tf.constant(data.train_labels)

    def order(epoch: Any) -> Any:
        shuffled = tf.random.experimental.stateless_shuffle(
            tf.range(data.num_train), seed=tf.stack([np.int64(seed), epoch])
        )
        batches = tf.reshape(
            shuffled[: steps * batch_size], [steps, batch_size]
        )
        numbers = epoch * steps + tf.range(steps, dtype=tf.int64)
        first = tf.where(
            epoch == first_step // steps, np.int64(first_step % steps), 0
        )
        return tf.data.Dataset.from_tensor_slices(
            (batches[first:], numbers[first:])
        )

    def batch(indices: Any, number: Any) -> tuple[Any, Any]:
        indices = part.of(indices)
        views = tf.gather(images, indices)
        drawn_from = tf.stack([np.int64(seed), number])
        if augmentation == "crop_flip":
            views = augmentations.crop_and_flip(views, drawn_from, part)
        elif augmentation == "resized_crop":
            views = augmentations.resized_crop(views, drawn_from, part)
        return (
            augmentations.standardise(views, data),
            tf.gather(labels, indices),
        )

    epochs = tf.data.Dataset.range(first_step // steps, np.iinfo("int64").max)
    return (
        epochs.flat_map(order)
        .map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .prefetch(tf.data.AUTOTUNE)
    )


def test_batches(data: ImageData, batch_size: int, part: Part) -> Any:
    """See `dsr_tf.data.test_batches`."""
    own = slice(part.index, None, part.number)
    images = tf.data.Dataset.from_tensor_slices(
        (data.test_images[own], data.test_labels[own])
    )
    return (
        images.batch(batch_size)
        .map(
            lambda x, y: (augmentations.standardise(x, data), y),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        .cache()
        .prefetch(tf.data.AUTOTUNE)
    )
