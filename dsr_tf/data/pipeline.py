"""Batches of images in memory, the same for the same seed."""

import numpy as np

from dsr_tf.data import augmentation as augmentations


def train_batches(data, batch_size, seed, first_step=0, augmentation="none"):
    """An endless dataset of shuffled training batches.

    The images of epoch e are in the order of a shuffle that depends on
    (seed, e) only, and what is random about a batch on (seed, step), so
    skipping to any step gives the batches that a run from the start would
    see there. An incomplete batch at the end of an epoch is dropped.

    Args:
        data: An `ImageData`.
        batch_size: Images a batch.
        seed: Integer that order and views depend on.
        first_step: Number of batches to skip.
        augmentation: One of `dsr_tf.data.augmentation.NAMES`.

    Returns:
        A `tf.data.Dataset` of (float32 images, int32 labels).
    """
    import tensorflow as tf

    steps = data.num_train // batch_size
    with tf.device("CPU"):
        images = tf.constant(data.train_images)
        labels = tf.constant(data.train_labels)

    def order(epoch):
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

    def batch(indices, number):
        views = tf.gather(images, indices)
        drawn_from = tf.stack([np.int64(seed), number])
        if augmentation == "crop_flip":
            views = augmentations.crop_and_flip(views, drawn_from)
        elif augmentation == "resized_crop":
            views = augmentations.resized_crop(views, drawn_from)
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


def test_batches(data, batch_size=1000):
    """The test images in order, the last batch as long as it comes."""
    import tensorflow as tf

    images = tf.data.Dataset.from_tensor_slices(
        (data.test_images, data.test_labels)
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
