"""Training with penalties on groups, until some groups are exactly 0."""

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf.constraints import ZeroBelow
from dsr_tf.regularizers import GroupLasso
from tests.conftest import assert_same
from tests.conftest import assert_zero_outside_masks
from tests.conftest import needs_tensorflow
from tests.conftest import snapshot
from tests.conftest import values


@pytest.fixture
def half_noise():
    """256 points in 10 dimensions, of which the first 5 say the class."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(256, 10)).astype("float32")
    y = np.argmax(x[:, :5] @ generator.normal(size=(5, 3)), axis=1)
    return x, y.astype("int32")


def penalized(sparsity=None, **compile_arguments):
    """A network with a penalty on all that reads an input."""
    model = keras.Sequential(
        [
            keras.Input((10,)),
            keras.layers.Dense(16, "relu", name="a"),
            keras.layers.Dense(3, name="b", dtype="float32"),
        ]
    )
    if sparsity is not None:
        model = dsr_tf.sparsify(model, sparsity, filters="a", seed=0)
    model = dsr_tf.regularize(
        model,
        {"a/kernel": GroupLasso(0.08, "input")},
        {"a/kernel": ZeroBelow(0.01)},
    )
    rates = keras.optimizers.schedules.PiecewiseConstantDecay(
        [100], [0.05, 0.005]
    )
    model.compile(
        keras.optimizers.SGD(rates, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        **compile_arguments,
    )
    return model


def train(model, data, epochs=40, **arguments):
    """Four updates an epoch."""
    model.fit(*data, 64, epochs, verbose=0, shuffle=False, **arguments)


def assert_noise_is_not_read(model, data):
    kernel = model.get_layer("a").trainable_variables[0]
    norms = np.linalg.norm(values(kernel), axis=1)
    assert (norms[:5] > 0.15).all() and not norms[5:].any(), norms
    assert model.evaluate(*data, verbose=0)[1] > 0.9


@pytest.mark.parametrize(
    "policy, arguments",
    [
        ("float32", {"jit_compile": True}),
        ("mixed_bfloat16", {"steps_per_execution": 4}),
        pytest.param(
            *("mixed_float16", {"jit_compile": False}), marks=pytest.mark.slow
        ),
    ],
)
def test_inputs_of_noise_vanish(half_noise, policy, arguments):
    keras.config.set_dtype_policy(policy)
    model = penalized(**arguments)
    train(model, half_noise)
    assert_noise_is_not_read(model, half_noise)


@needs_tensorflow
def test_on_two_devices_as_on_one(half_noise):
    import tensorflow as tf

    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        model = penalized()
    alone = penalized()
    alone.set_weights(model.get_weights())
    for one in (model, alone):
        train(one, half_noise, 5)
    for found, expected in zip(model.weights, alone.weights):
        np.testing.assert_allclose(values(found), values(expected), atol=1e-5)
    assert not values(alone.get_layer("a").kernel).all()


def test_without_a_penalty_they_do_not(half_noise):
    model = penalized()
    model.get_layer("a").kernel.regularizer = None
    train(model, half_noise)
    with pytest.raises(AssertionError):
        assert_noise_is_not_read(model, half_noise)


def test_a_masked_kernel_while_its_weights_move(half_noise):
    model = penalized(sparsity=0.5)
    callback = dsr_tf.callbacks.Reallocation(
        dsr_tf.methods.SET(0.2), period=10, stop_epoch=20, seed=0
    )
    train(model, half_noise, callbacks=[callback])
    assert_noise_is_not_read(model, half_noise)
    assert_zero_outside_masks(model)
    [weight] = dsr_tf.masked_weights(model)
    assert weight.num_active == 80


@pytest.mark.parametrize("sparsity", [None, 0.5])
def test_training_goes_on_from_a_file(half_noise, sparsity, tmp_path):
    model = penalized(sparsity)
    train(model, half_noise, 2)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert float(loaded.losses[0]) == float(model.losses[0]) > 0
    for one in (model, loaded):
        train(one, half_noise, 2)
    assert_same(snapshot(model), snapshot(loaded))


def test_scales_vanish(half_noise):
    """As in network slimming: an L1 penalty on scales alone."""
    model = keras.Sequential(
        [
            keras.Input((10,)),
            keras.layers.BatchNormalization(name="bn"),
            keras.layers.Dense(3, name="b"),
        ]
    )
    model = dsr_tf.regularize(
        model,
        {"gamma": keras.regularizers.L1(0.02)},
        {"gamma": ZeroBelow(0.01)},
    )
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    train(model, half_noise)
    gamma = values(model.get_layer("bn").gamma)
    assert (gamma[:5] > 0.2).all() and not gamma[5:].any(), gamma
