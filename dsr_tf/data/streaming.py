"""Sets whose images are read and decoded as they are needed.

For images that differ in size, or are too many for memory, such as those
of ImageNet. What a batch holds depends on (seed, step) only here too; to
go on within an epoch, the examples before are read but not decoded.
"""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from dsr_tf.data import augmentation as augmentations
from dsr_tf.data.augmentation import Part
from dsr_tf.data.image_data import ImageData

# Of ImageNet, as is usual for photographs.
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)
# Test images are resized so that the crop is this part of the short side.
_CENTRAL = 224 / 256
_FILES_AT_ONCE = 16
_SHUFFLED_AT_ONCE = 4096


@dataclasses.dataclass(frozen=True)
class StreamedData:
    """A set of images with labels, left where it is.

    Attributes:
        name: Name of the set.
        num_classes: Number of classes.
        image_size: Height and width of an image in a batch.
        train, test: Sources of examples, `Records` or `Files`.
    """

    name: str
    num_classes: int
    image_size: int
    train: "Files | Records"
    test: "Files | Records"

    mean = np.array(_MEAN, "float32")
    deviation = np.array(_DEVIATION, "float32")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return (self.image_size, self.image_size, 3)

    @property
    def num_train(self) -> int:
        return self.train.num_examples

    @property
    def num_test(self) -> int:
        return self.test.num_examples


# What `dsr_tf.data.load` returns.
AnyData = ImageData | StreamedData


class Files:
    """Examples in files of their own.

    Args:
        paths: Array of strings `(n,)`.
        labels: int32 array `(n,)`.
    """

    def __init__(self, paths: np.ndarray, labels: np.ndarray) -> None:
        self._paths, self._labels = paths, labels
        self.num_examples = len(paths)

    def in_order(self) -> Any:
        """All examples, a `tf.data.Dataset` of (encoded image, label)."""
        files = tf.data.Dataset.from_tensor_slices((self._paths, self._labels))
        return files.map(self._read, num_parallel_calls=tf.data.AUTOTUNE)

    def shuffled(self, seed: Any) -> Any:
        """The same in an order that depends on a seed, tensor `(2,)`."""
        order = tf.random.experimental.stateless_shuffle(
            tf.range(self.num_examples), seed
        )
        files = tf.data.Dataset.from_tensor_slices(
            (tf.gather(self._paths, order), tf.gather(self._labels, order))
        )
        return files.map(self._read, num_parallel_calls=tf.data.AUTOTUNE)

    @staticmethod
    def _read(path: Any, label: Any) -> tuple[Any, Any]:
        return tf.io.read_file(path), label


class Records:
    """Examples of a split of TensorFlow Datasets, in its record files.

    Args:
        builder: A prepared `tfds.core.DatasetBuilder` whose files are
            TFRecords.
        split: Name of the split.
    """

    def __init__(self, builder: Any, split: str) -> None:
        info = builder.info
        self._files = [str(path) for path in info.splits[split].filepaths]
        self._features = info.features
        self.num_examples = info.splits[split].num_examples

    def in_order(self) -> Any:
        """All examples, a `tf.data.Dataset` of (encoded image, label)."""
        return self._parsed(tf.data.TFRecordDataset(self._files))

    def shuffled(self, seed: Any) -> Any:
        """The same in an order that depends on a seed, tensor `(2,)`.

        The files are shuffled, and so is each block of 4,096 examples, as
        they come from sixteen files at a time.
        """
        files = tf.random.experimental.stateless_shuffle(self._files, seed)
        records = tf.data.Dataset.from_tensor_slices(files).interleave(
            tf.data.TFRecordDataset,
            cycle_length=min(_FILES_AT_ONCE, len(self._files)),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )

        def permute(number: Any, block: Any) -> Any:
            own = seed + tf.stack([np.int64(0), (number + 1) * 2**32])
            block = tf.random.experimental.stateless_shuffle(block, own)
            return tf.data.Dataset.from_tensor_slices(block)

        blocks = records.batch(_SHUFFLED_AT_ONCE).enumerate()
        records = blocks.flat_map(permute)
        return self._parsed(records)

    def _parsed(self, records: Any) -> Any:
        import tensorflow_datasets as tfds

        def parse(record: Any) -> tuple[Any, Any]:
            example = self._features.deserialize_example(
                record, decoders={"image": tfds.decode.SkipDecoding()}
            )
            return example["image"], tf.cast(example["label"], "int32")

        return records.map(parse, num_parallel_calls=tf.data.AUTOTUNE)


def train_batches(
    data: StreamedData,
    batch_size: int,
    seed: int,
    first_step: int,
    augmentation: str,
    part: Part,
) -> Any:
    """See `dsr_tf.data.train_batches`."""
    steps = data.num_train // batch_size
    first_epoch, steps_done = divmod(first_step, steps)
    own_size = batch_size // part.number
    is_random = augmentation == "resized_crop"

    def examples(epoch: Any) -> Any:
        shuffled = data.train.shuffled(tf.stack([np.int64(seed), epoch]))
        shuffled = _checked(shuffled, data.num_train, data)
        done = tf.where(
            epoch == first_epoch, np.int64(steps_done * batch_size), 0
        )
        numbered = shuffled.enumerate(epoch * data.num_train)
        numbered = numbered.take(steps * batch_size).skip(done)
        return numbered.filter(
            lambda number, _: is_own(number - epoch * data.num_train)
        )

    def is_own(place: Any) -> Any:
        return place % batch_size // own_size == part.index

    def view(number: Any, example: Any) -> tuple[Any, Any]:
        encoded, label = example
        if is_random:
            drawn_from = tf.stack([np.int64(seed), number])
            image = _random_view(encoded, data.image_size, drawn_from)
        else:
            image = _central_view(encoded, data.image_size)
        return augmentations.standardise(image, data), label

    epochs = tf.data.Dataset.range(first_epoch, np.iinfo("int64").max)
    return (
        epochs.flat_map(examples)
        .map(view, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .batch(own_size, drop_remainder=True)
        .prefetch(tf.data.AUTOTUNE)
    )


def test_batches(data: StreamedData, batch_size: int, part: Part) -> Any:
    """See `dsr_tf.data.test_batches`."""

    def view(encoded: Any, label: Any) -> tuple[Any, Any]:
        image = _central_view(encoded, data.image_size)
        return augmentations.standardise(image, data), label

    examples = _checked(data.test.in_order(), data.num_test, data)
    return (
        examples.shard(part.number, part.index)
        .map(view, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .batch(batch_size)
        .prefetch(tf.data.AUTOTUNE)
    )


def _checked(examples: Any, number: int, data: StreamedData) -> Any:
    """The same examples, with an error where they are not as promised."""

    def check(encoded: Any, label: Any) -> tuple[Any, Any]:
        is_class = tf.debugging.Assert(
            (label >= 0) & (label < data.num_classes),
            [f"A label of {data.name} is not below {data.num_classes}:", label],
        )
        with tf.control_dependencies([is_class]):
            return encoded, tf.identity(label)

    return examples.apply(tf.data.experimental.assert_cardinality(number)).map(
        check
    )


def _random_view(encoded: Any, size: int, seed: Any) -> Any:
    """A random crop, resized, and mirrored half of the time."""

    def crop_jpeg() -> Any:
        # Decodes no more than the crop needs.
        height, width, _ = tf.unstack(tf.io.extract_jpeg_shape(encoded))
        (box,) = tf.unstack(augmentations.crop_boxes(height, width, 1, seed))
        return tf.io.decode_and_crop_jpeg(encoded, box, channels=3)

    def crop_other() -> Any:
        image = _decode(encoded)
        height, width, _ = tf.unstack(tf.shape(image))
        (box,) = tf.unstack(augmentations.crop_boxes(height, width, 1, seed))
        return tf.slice(image, [box[0], box[1], 0], [box[2], box[3], 3])

    image = tf.cond(tf.io.is_jpeg(encoded), crop_jpeg, crop_other)
    image = tf.image.resize(image, [size, size])
    mirrored = augmentations.coins(1, seed)[0]
    return tf.cond(mirrored, lambda: image[:, ::-1], lambda: image)


def _central_view(encoded: Any, size: int) -> Any:
    """The middle of the image, the short side resized first."""
    image = _decode(encoded)
    sides = tf.cast(tf.shape(image)[:2], "float32")
    scale = size / _CENTRAL / tf.reduce_min(sides)
    sides = tf.maximum(tf.cast(tf.round(sides * scale), "int32"), size)
    image = tf.image.resize(image, sides, antialias=True)
    return tf.ensure_shape(
        tf.image.resize_with_crop_or_pad(image, size, size), [size, size, 3]
    )


def _decode(encoded: Any) -> Any:
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    return tf.ensure_shape(image, [None, None, 3])
