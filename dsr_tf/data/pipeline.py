"""Batches for training and evaluation, the same for the same seed."""

import numpy as np


def train_batches(data, batch_size, seed, first_step=0):
    """An endless dataset of shuffled training batches.

    The images of epoch e are in the order of a shuffle that depends on
    (seed, e) only, so skipping to any step gives the batches that a run
    from the start would see there. An incomplete batch at the end of an
    epoch is dropped, as `steps_per_epoch` counts.

    Args:
        data: An `ImageData`.
        batch_size: Images a batch.
        seed: Integer that the order depends on.
        first_step: Number of batches to skip.

    Returns:
        A `tf.data.Dataset` of (float32 images, int32 labels).
    """
    import tensorflow as tf

    num_images = len(data.train_images)
    steps = steps_per_epoch(data, batch_size)
    with tf.device("CPU"):
        images = tf.constant(data.train_images)
        labels = tf.constant(data.train_labels)

    def order(epoch):
        shuffled = tf.random.experimental.stateless_shuffle(
            tf.range(num_images), seed=tf.stack([np.int64(seed), epoch])
        )
        batches = tf.reshape(
            shuffled[: steps * batch_size], [steps, batch_size]
        )
        first = tf.where(
            epoch == first_step // steps, np.int64(first_step % steps), 0
        )
        return tf.data.Dataset.from_tensor_slices(batches[first:])

    def batch(indices):
        return (
            _standardise(tf.gather(images, indices), data),
            tf.gather(labels, indices),
        )

    epochs = tf.data.Dataset.range(first_step // steps, np.iinfo("int64").max)
    return (
        epochs.flat_map(order)
        .map(batch, num_parallel_calls=2, deterministic=True)
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
        .map(lambda x, y: (_standardise(x, data), y), num_parallel_calls=2)
        .cache()
        .prefetch(tf.data.AUTOTUNE)
    )


def steps_per_epoch(data, batch_size):
    """Number of full batches in the training set."""
    return len(data.train_images) // batch_size


def _standardise(images, data):
    import tensorflow as tf

    scale = np.float32(1) / (255 * data.deviation)
    offset = data.mean / data.deviation
    return tf.cast(images, tf.float32) * scale - offset
