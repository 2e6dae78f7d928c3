import os

import keras
import numpy as np
import pytest
import tensorflow as tf

import dsr_tf
from dsr_tf import layers
from dsr_tf.models import lenet_300_100

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), "uint8")


def standardise(images):
    return tf.cast(images, tf.float32) / 255 - 0.5


def logits(*tail, units=10):
    flat = [keras.Input((28, 28, 1)), keras.layers.Flatten()]
    return keras.Sequential([*flat, layers.SparseDense(units, 0.9), *tail])


def nested():
    inputs = keras.Input((28, 28, 1))
    return keras.Model(inputs, logits(keras.layers.Softmax())(inputs))


MODELS = {
    "logits": (logits, True),
    "activation": (
        lambda: logits(layers.SparseDense(4, 0.5, activation="softmax")),
        False,
    ),
    "softmax layer": (lambda: logits(keras.layers.Softmax()), False),
    "activation layer": (
        lambda: logits(keras.layers.Activation("softmax")),
        False,
    ),
    "operation": (
        lambda: keras.Model(
            *(lambda m: (m.inputs, keras.ops.softmax(m.outputs[0])))(logits())
        ),
        False,
    ),
    "nested": (nested, False),
    "binary": (
        lambda: logits(layers.SparseDense(1, 0.5, activation="sigmoid")),
        False,
    ),
    "LeNet": (lambda: dsr_tf.sparsify(lenet_300_100(), 0.9, seed=0), True),
}


@pytest.mark.parametrize("name", MODELS)
def test_bytes_of_images_in_and_probabilities_out(name, tmp_path):
    make, gives_logits = MODELS[name]
    model = make()
    dsr_tf.export.saved_model(model, tmp_path / "m", preprocessing=standardise)
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    found = loaded.signatures["classify"](image=tf.constant(IMAGES))
    expected = model.predict((IMAGES / 255 - 0.5).astype("float32"), verbose=0)
    if gives_logits:
        expected = tf.nn.softmax(expected)
    np.testing.assert_allclose(
        found["probabilities"], expected, rtol=1e-4, atol=1e-6
    )
    assert set(loaded.signatures) == {"classify", "serving_default"}


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: keras.Sequential(
                [keras.Input((3,)), keras.layers.Dense(2)]
            ),
            "one input, images",
        ),
        (lambda: logits(units=1), "an output per class"),
    ],
)
def test_preprocessing_is_for_classifiers_of_images(make, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        dsr_tf.export.saved_model(
            make(), tmp_path / "m", preprocessing=lambda images: images
        )
    assert os.listdir(tmp_path) == []
