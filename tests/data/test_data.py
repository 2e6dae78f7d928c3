import dataclasses
import itertools

import numpy as np
import pytest

from dsr_tf import data as datasets
from dsr_tf.data import image_data


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


def take(dataset, n):
    return [(x.numpy(), y.numpy()) for x, y in itertools.islice(dataset, n)]


def same(first, second):
    return all(
        np.array_equal(a, b)
        for one, two in zip(first, second, strict=True)
        for a, b in zip(one, two)
    )


def test_digits(digits):
    assert digits.train_images.shape == (1437, 8, 8, 1)
    assert digits.test_images.shape == (360, 8, 8, 1)
    assert digits.num_classes == 10
    assert digits.train_images.max() == 255
    assert np.bincount(digits.test_labels).min() >= 34


def test_an_epoch_is_every_image_once_but_the_last_few(digits):
    assert digits.num_train // 100 == 14
    indices = np.arange(1437)
    numbered = dataclasses.replace(
        digits,
        train_labels=indices.astype("int32"),
    )
    batches = take(datasets.train_batches(numbered, 100, seed=0), 28)
    for epoch in batches[:14], batches[14:]:
        labels = np.concatenate([y for _, y in epoch])
        assert len(set(labels.tolist())) == 1400
    assert not np.array_equal(batches[0][1], batches[14][1])


def test_images_are_standardised_and_go_with_their_labels(digits):
    ((images, labels),) = take(datasets.train_batches(digits, 1437, 0), 1)
    assert images.dtype == np.float32 and labels.dtype == np.int32
    assert abs(images.mean()) < 1e-5 and abs(images.std() - 1) < 1e-5
    known = (digits.train_images / 255 - digits.mean) / digits.deviation
    for image, label in zip(images[:50], labels[:50]):
        (places,) = np.where(
            np.abs(known - image).reshape(1437, -1).max(axis=1) < 1e-5
        )
        assert label in digits.train_labels[places]


def test_order_depends_on_the_seed(digits):
    def first(seed):
        return take(datasets.train_batches(digits, 100, seed), 3)

    assert same(first(1), first(1))
    assert not same(first(1), first(2))


@pytest.mark.parametrize("start", [1, 13, 14, 15, 30])
def test_skipping_gives_the_batches_of_an_unbroken_run(digits, start):
    whole = take(datasets.train_batches(digits, 100, 0), start + 16)
    part = take(datasets.train_batches(digits, 100, 0, start), 16)
    assert same(whole[start:], part)


@pytest.mark.parametrize("augmentation", ["none", "crop_flip", "resized_crop"])
def test_workers_share_the_batch_of_a_step(digits, augmentation):
    whole = take(
        datasets.train_batches(digits, 90, 3, 5, augmentation=augmentation), 12
    )
    parts = [
        take(
            datasets.train_batches(
                digits, 90, 3, 5, augmentation, datasets.Part(index, 3)
            ),
            12,
        )
        for index in range(3)
    ]
    for batch, *own in zip(whole, *parts):
        for kind in (0, 1):
            assert {len(part[kind]) for part in own} == {30}
            joined = np.concatenate([part[kind] for part in own])
            np.testing.assert_array_equal(joined, batch[kind])


def test_workers_share_the_test_images(digits):
    labels = [
        np.concatenate([y for _, y in datasets.test_batches(digits, 50, part)])
        for part in (datasets.Part(index, 7) for index in range(7))
    ]
    assert {len(own) for own in labels} == {51, 52}
    expected = [digits.test_labels[index::7] for index in range(7)]
    for own, images in zip(labels, expected):
        np.testing.assert_array_equal(own, images)


def test_test_batches_are_in_order(digits):
    batches = take(datasets.test_batches(digits, 100), 10)
    labels = np.concatenate([y for _, y in batches])
    np.testing.assert_array_equal(labels, digits.test_labels)


def test_the_authors_constants():
    images = np.zeros((2, 4, 4, 3), "uint8")
    labels = np.zeros(2, "int32")
    data = image_data.assemble("cifar10", images, labels, images, labels, 10)
    np.testing.assert_allclose(data.mean * 255, [125.3, 123.0, 113.9])
    np.testing.assert_allclose(data.deviation * 255, [63.0, 62.1, 66.7])


@pytest.mark.parametrize("label", [-1, 10])
def test_labels_out_of_range(label):
    images, labels = np.zeros((2, 4, 4, 3), "uint8"), np.array([3, label])
    good = np.zeros(2, "int32")
    for pair in ((labels, good), (good, labels)):
        with pytest.raises(datasets.DataError, match="must be from 0 to 9"):
            image_data.assemble("x", images, pair[0], images, pair[1], 10)


def test_measured_statistics(digits):
    images = np.random.default_rng(0).integers(0, 256, (7, 5, 5, 3), "uint8")
    mean, deviation = image_data.measure(images)
    floats = images.reshape(-1, 3) / 255
    np.testing.assert_allclose(mean, floats.mean(axis=0))
    np.testing.assert_allclose(deviation, floats.std(axis=0))


def test_an_unknown_set():
    with pytest.raises(datasets.DataError, match="There is no data set 'no_s"):
        datasets.load("no_such_set")


def test_a_prepared_tfds_set_of_any_name(tmp_path):
    """A set written by TFDS itself, with a validation split only."""
    import tensorflow_datasets as tfds

    images = np.random.default_rng(0).integers(0, 256, (9, 6, 6, 3), "uint8")

    class Tiny(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        name = "tiny"

        def _info(self):
            features = tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(6, 6, 3)),
                    "label": tfds.features.ClassLabel(num_classes=4),
                }
            )
            return self.dataset_info_from_configs(features=features)

        def _split_generators(self, manager):
            return {
                "train": self._examples(0, 6),
                "validation": self._examples(6, 9),
            }

        def _examples(self, start, end):
            for i in range(start, end):
                yield i, {"image": images[i], "label": i % 4}

        _generate_examples = _examples

    Tiny(data_dir=str(tmp_path)).download_and_prepare()
    data = datasets.load("tiny", str(tmp_path))
    assert data.num_classes == 4
    assert data.test_images.shape == (3, 6, 6, 3)
    found = {
        image.tobytes(): label
        for image, label in zip(data.train_images, data.train_labels)
    }
    assert found == {images[i].tobytes(): i % 4 for i in range(6)}


@pytest.mark.slow
def test_mnist():
    """Needs MNIST in TensorFlow Datasets' folder ($TFDS_DATA_DIR)."""
    data = datasets.load("mnist")
    assert data.train_images.shape == (60000, 28, 28, 1)
    assert data.test_images.shape == (10000, 28, 28, 1)
    np.testing.assert_allclose(data.mean, [0.1307], rtol=1e-6)
