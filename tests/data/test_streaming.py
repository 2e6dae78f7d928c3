"""Images that differ in size: files, and records of TensorFlow Datasets."""

import dataclasses
import itertools
import os

import numpy as np
import pytest
import tensorflow as tf

from dsr_tf import data as datasets

COLORS = {"blue": (20, 40, 220), "green": (30, 200, 50), "red": (210, 30, 40)}


def picture(name, number):
    """An image of one colour, some size, JPEG or PNG."""
    generator = np.random.default_rng(number)
    height, width = generator.integers(24, 60, 2)
    pixels = np.tile(np.uint8(COLORS[name]), (height, width, 1))
    encode = tf.io.encode_png if number % 3 == 0 else tf.io.encode_jpeg
    return pixels, encode(pixels).numpy()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    for split, count in (("train", 14), ("val", 4)):
        for name in COLORS:
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                path = root / split / name / f"{number:02d}.jpg"
                path.write_bytes(picture(name, number)[1])
    (root / "train" / "red" / "notes.txt").write_text("no image")
    return root


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    import tensorflow_datasets as tfds

    class Mixed(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")
        name = "mixed"

        def _info(self):
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict(
                    {
                        "image": tfds.features.Image(
                            shape=(None, None, 3), encoding_format="jpeg"
                        ),
                        "label": tfds.features.ClassLabel(num_classes=3),
                        "file_name": tfds.features.Text(),
                    }
                )
            )

        def _split_generators(self, manager):
            return {
                "train": self._examples(14),
                "validation": self._examples(4),
            }

        def _examples(self, count):
            for label, name in enumerate(COLORS):
                for number in range(count):
                    key = f"{name}{number}"
                    yield (
                        key,
                        {
                            "image": picture(name, number)[0],
                            "label": label,
                            "file_name": key,
                        },
                    )

        _generate_examples = _examples

    root = tmp_path_factory.mktemp("tfds")
    Mixed(data_dir=str(root)).download_and_prepare()
    return root


@pytest.fixture(params=["image_folder", "mixed"])
def data(request):
    source = {"image_folder": "folder", "mixed": "records"}[request.param]
    path = request.getfixturevalue(source)
    return datasets.load(request.param, str(path), image_size=16)


def take(dataset, n):
    return [(x.numpy(), y.numpy()) for x, y in itertools.islice(dataset, n)]


def colors(images, data):
    """The pixels in the middle, from 0 to 255."""
    return (images[:, 8, 8] * data.deviation + data.mean) * 255


def assert_labelled(images, labels, data):
    assert images.shape[1:] == (16, 16, 3) and images.dtype == np.float32
    expected = np.array(list(COLORS.values()))[labels]
    assert np.abs(colors(images, data) - expected).max() < 6


def test_numbers(data):
    assert (data.num_train, data.num_test, data.num_classes) == (42, 12, 3)
    assert data.image_shape == (16, 16, 3)


@pytest.mark.parametrize("augmentation", ["none", "resized_crop"])
def test_an_epoch_has_every_image_once(data, augmentation):
    batches = datasets.train_batches(data, 6, 0, augmentation=augmentation)
    epochs = [take(batches, 14)[i : i + 7] for i in (0, 7)]
    for epoch in epochs:
        for images, labels in epoch:
            assert_labelled(images, labels, data)
        counts = np.bincount(np.concatenate([y for _, y in epoch]))
        np.testing.assert_array_equal(counts, [14, 14, 14])
    first, second = ([y for _, y in epoch] for epoch in epochs)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("start", [1, 7, 9])
def test_skipping_gives_the_batches_of_an_unbroken_run(data, start):
    def batches(first_step):
        return datasets.train_batches(data, 6, 3, first_step, "resized_crop")

    whole, part = take(batches(0), start + 8), take(batches(start), 8)
    for (x, y), (other_x, other_y) in zip(whole[start:], part, strict=True):
        np.testing.assert_array_equal(x, other_x)
        np.testing.assert_array_equal(y, other_y)


@pytest.mark.parametrize("augmentation", ["none", "resized_crop"])
def test_workers_share_the_batch_of_a_step(data, augmentation):
    whole = take(datasets.train_batches(data, 6, 3, 4, augmentation), 9)
    parts = [
        take(
            datasets.train_batches(
                data, 6, 3, 4, augmentation, datasets.Part(index, 2)
            ),
            9,
        )
        for index in range(2)
    ]
    for batch, *own in zip(whole, *parts):
        for kind in (0, 1):
            joined = np.concatenate([part[kind] for part in own])
            np.testing.assert_array_equal(joined, batch[kind])


def test_workers_share_the_test_images(data):
    parts = [
        take(datasets.test_batches(data, 4, datasets.Part(index, 2)), 99)
        for index in range(2)
    ]
    whole = np.concatenate([y for _, y in datasets.test_batches(data, 4)])
    for index, batches in enumerate(parts):
        own = np.concatenate([labels for _, labels in batches])
        np.testing.assert_array_equal(own, whole[index::2])


def test_seeds_differ(data):
    ((x, _),) = take(datasets.train_batches(data, 42, 1), 1)
    ((y, _),) = take(datasets.train_batches(data, 42, 2), 1)
    assert not np.array_equal(x, y)


def test_test_images_are_in_order(data):
    batches = take(datasets.test_batches(data, 5), 3)
    for images, labels in batches:
        assert_labelled(images, labels, data)
    labels = np.concatenate([y for _, y in batches])
    assert len(labels) == 12
    if data.name == "image_folder":
        np.testing.assert_array_equal(labels, np.repeat([0, 1, 2], 4))


def test_the_central_view():
    """The middle 224/256 of the short side, as tall as wide."""
    from dsr_tf.data import streaming

    column = np.arange(128, dtype="uint8")
    image = np.tile(column[None, :, None] * 2, (64, 1, 3))
    encoded = tf.io.encode_png(image)
    view = streaming._central_view(encoded, 56).numpy()[..., 0]
    # 64 pixels high already, so nothing is resized: columns 36 to 91.
    np.testing.assert_allclose(view[5], 2 * np.arange(36, 92), atol=1e-3)


def test_crop_flip_needs_equal_sizes(data):
    with pytest.raises(datasets.DataError, match="resized_crop or none"):
        datasets.train_batches(data, 6, 0, augmentation="crop_flip")


def test_labels_out_of_range(data):
    wrong = dataclasses.replace(data, num_classes=2)
    for batches in (
        datasets.train_batches(wrong, 42, 0),
        datasets.test_batches(wrong, 12),
    ):
        with pytest.raises(
            tf.errors.InvalidArgumentError, match="is not below 2"
        ):
            take(batches, 1)


def test_data_that_ends_early(data):
    """A set that holds less than it says."""

    class Promising:
        def __init__(self, source):
            self._source = source
            self.num_examples = source.num_examples + 1

        def __getattr__(self, name):
            return getattr(self._source, name)

    short = dataclasses.replace(
        data, train=Promising(data.train), test=Promising(data.test)
    )
    for batches in (
        datasets.train_batches(short, 43, 0),
        datasets.test_batches(short, 13),
    ):
        with pytest.raises(tf.errors.FailedPreconditionError, match="43|13"):
            take(batches, 1)


def test_a_size_that_cannot_be():
    with pytest.raises(datasets.DataError, match="all of one size, "):
        datasets.load("digits", image_size=9)


def test_folders_that_are_not_there(tmp_path):
    with pytest.raises(datasets.DataError, match="needs data_dir"):
        datasets.load("image_folder")
    with pytest.raises(datasets.DataError, match="needs the folders train/"):
        datasets.load("image_folder", str(tmp_path))
    for split, name in (("train", "cat"), ("test", "dog")):
        (tmp_path / split / name).mkdir(parents=True)
    with pytest.raises(datasets.DataError, match="no folders with images"):
        datasets.load("image_folder", str(tmp_path))
    (tmp_path / "train" / "cat" / "a.png").write_bytes(picture("red", 0)[1])
    with pytest.raises(datasets.DataError, match="the class 'dog', which"):
        datasets.load("image_folder", str(tmp_path))


def test_names_that_are_no_text(tmp_path):
    """Names of files are bytes, of any kind."""
    for split in ("train", "test"):
        path = os.path.join(os.fsencode(tmp_path), split.encode(), b"cat")
        os.makedirs(path)
        for number in range(3):
            name = os.path.join(path, b"\xff\xfe%d.png" % number)
            with open(name, "wb") as file:
                file.write(picture("red", number)[1])
    data = datasets.load("image_folder", str(tmp_path), image_size=16)
    assert data.num_train == 3
    ((images, _),) = take(datasets.test_batches(data), 1)
    assert images.shape == (3, 16, 16, 3)


@pytest.mark.parametrize("folder", ["train", "train/cat", "val/cat"])
def test_folders_that_may_not_be_read(folder, tmp_path, monkeypatch):
    for split in ("train", "val"):
        (tmp_path / split / "cat").mkdir(parents=True)
        (tmp_path / split / "cat" / "0.png").write_bytes(b"never read")
    scandir = os.scandir

    def refuse(path):
        if str(path) == str(tmp_path / folder):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(datasets.DataError, match=r"cannot be read \(Permiss"):
        datasets.load("image_folder", str(tmp_path))


def test_noise():
    data = datasets.load("random", image_size=8)
    assert data.train_images.shape == (12_800, 8, 8, 3)
    assert data.num_classes == 1000
    again = datasets.load("random", image_size=8)
    np.testing.assert_array_equal(data.train_images, again.train_images)
