"""What layers of Keras become in SavedModels, and what they compute."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dsr_tf
from dsr_tf import layers
from tests.conftest import outputs_of

NUMBERS = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")


def served(model, path, write=dsr_tf.export.saved_model):
    write(model, path)
    loaded = tf.saved_model.load(str(path))
    serve = loaded.signatures["serving_default"]
    serve.loaded = loaded
    return serve


def first_output(serve, inputs):
    (name,) = serve.structured_input_signature[1]
    (output,) = serve(**{name: tf.constant(inputs)}).values()
    return output


# Those with gradients of their own, and one of each other kind.
ACTIVATIONS = ["silu", "gelu", "mish", "softmax", "hard_silu", "selu"]


@pytest.mark.parametrize(
    "write", [dsr_tf.export.saved_model, dsr_tf.export.dense_saved_model]
)
def test_activations(write, tmp_path):
    model = keras.Sequential([keras.Input((6,))])
    for seed, name in enumerate(ACTIVATIONS):
        model.add(layers.SparseDense(6, 0.3, activation=name, seed=seed))
    serve = served(model, tmp_path / "m", write)
    np.testing.assert_array_equal(
        first_output(serve, NUMBERS), outputs_of(model, NUMBERS)
    )
    # As a part of something that is trained.
    inputs = tf.constant(NUMBERS)
    gradients = []
    for function in (lambda x: first_output(serve, x), model):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            total = tf.reduce_sum(function(inputs) ** 2)
        gradients.append(tape.gradient(total, inputs))
    np.testing.assert_allclose(*gradients, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_the_whole_of_efficientnet(tmp_path):
    model = keras.applications.EfficientNetB0(weights=None)
    model = dsr_tf.sparsify(model, 0.9, seed=0)
    serve = served(model, tmp_path / "m")
    images = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3))
    images = images.astype("float32")
    np.testing.assert_array_equal(
        first_output(serve, images), outputs_of(model, images)
    )
