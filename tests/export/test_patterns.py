"""Exports of kernels with N of every M weights active."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dsr_tf
from dsr_tf.export import registry
from tests.conftest import outputs_of


@pytest.fixture(scope="module")
def model():
    inputs = keras.Input((6, 6, 8))
    x = keras.layers.Conv2D(16, 3, activation="relu")(inputs)
    x = keras.layers.Conv2DTranspose(8, 3, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    dense = keras.Model(inputs, keras.layers.Dense(12)(x))
    return dsr_tf.sparsify(dense, 0.5, granularity="2:4", seed=0)


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(size=(3, 6, 6, 8)).astype("float32")


def test_saved_model(model, images, tmp_path):
    dsr_tf.export.saved_model(model, tmp_path / "m")
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    (outputs,) = loaded.serve(images).values()
    np.testing.assert_array_equal(outputs, outputs_of(model, images))


def test_litert(model, images, tmp_path):
    path = str(tmp_path / "m.tflite")
    dsr_tf.export.litert(model, path)
    found = registry.load("model", path).predict(images)
    np.testing.assert_allclose(
        found, outputs_of(model, images), rtol=1e-4, atol=1e-5
    )
