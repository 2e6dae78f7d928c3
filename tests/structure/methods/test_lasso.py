"""LASSO chooses channels, and what reads them is fitted anew."""

import keras
import numpy as np
import pytest
from keras import layers

import dsr_tf
from dsr_tf import structure
from dsr_tf.structure.methods.lasso import lasso
from dsr_tf.structure.methods.thinet import thinet
from dsr_tf.structure.statistics import probe
from dsr_tf.structure.statistics import solvers
from dsr_tf.structure.statistics.windows import kernel_of
from tests.conftest import values


def test_the_network_knows_nearly_all_that_it_did(trained):
    whole = trained.accuracy(trained.model)
    narrow = lasso(trained.model, trained.x, 0.5, batch_size=256, seed=0)
    assert [s.num_units for s in structure.channel_sets(narrow)] == [6, 8, 16]
    assert trained.accuracy(narrow) > whole - 0.05
    # Without training; and better than by a factor for each channel.
    by_factors = thinet(trained.model, trained.x, 0.5, batch_size=256, seed=0)
    assert trained.accuracy(narrow) > trained.accuracy(by_factors)
    assert trained.accuracy(trained.model) == whole


def test_the_first_layer_is_chosen_and_fitted_as_by_the_solvers(trained):
    model, arguments = trained.model, {"num_batches": 4, "seed": 3}
    found = structure.channel_sets(model)[0]
    reader = model.get_layer("second")
    moments = probe.window_moments(model, reader, trained.x, **arguments)
    own = moments.contributions(kernel_of(reader), np.arange(12)[:, None])
    kept = solvers.lasso_path(own.gram, own.b, 5)
    kernel, constant = solvers.reconstruct(
        moments.xx, moments.xy, np.tile(kept, 9)
    )
    narrow = lasso(model, trained.x, {found.name: 5 / 12}, **arguments)
    assert narrow.get_layer("first").filters == 5
    np.testing.assert_allclose(
        values(narrow.get_layer("second").kernel).reshape(-1, 16),
        kernel,
        rtol=1e-4,
        atol=1e-6,
    )
    # A convolution without a bias: its normalization takes the constant.
    np.testing.assert_allclose(
        values(narrow.get_layer("bn").moving_mean),
        values(model.get_layer("bn").moving_mean) - constant,
        rtol=1e-4,
        atol=1e-6,
    )


def test_targets_are_those_of_the_whole_network(trained):
    # Two layers lose channels; the second fit is to what the whole network
    # had, and errs less there than to what is left of it.
    shares = {"first": 0.5, "second": 0.5}
    narrow = lasso(trained.model, trained.x, shares, batch_size=256, seed=0)
    target = trained.model.get_layer("hidden")
    reader = narrow.get_layer("hidden")
    x = trained.x[:200]

    def outputs(model, layer):
        inner = keras.Model(model.inputs[0], layer.input)
        kernel, bias = map(values, layer.get_weights())
        return values(inner(x)) @ kernel + bias

    expected = outputs(trained.model, target)
    left = outputs(narrow, reader) - expected
    assert np.sum(left**2) < 0.05 * np.sum(expected**2)
    # What is left has no mean, where the fit has a constant.
    assert np.abs(left.mean(axis=0)).max() < 0.1 * expected.std()


def constant_channel(use_bias=True, norm=False, after=None, size=4):
    """A network with a channel that is 0.1 everywhere."""
    inputs = keras.Input((size, size, 2))
    x = layers.Conv2D(5, 1, activation="relu", name="made")(inputs)
    x = layers.Conv2D(3, 2, use_bias=use_bias, name="read")(x)
    if norm:
        x = layers.BatchNormalization(name="bn")(x)
    model = keras.Model(inputs, after(x) if after else x)
    made = model.get_layer("made")
    generator = np.random.default_rng(0)
    kernel, bias = generator.normal(size=(1, 1, 2, 5)), np.zeros(5)
    kernel[..., 2], bias[2] = 0, 0.1
    made.set_weights([3 * kernel, bias])
    if norm:
        model.get_layer("bn").moving_mean.assign([0.1, 0.2, 0.3])
    return model


DATA = np.random.default_rng(1).normal(size=(60, 4, 4, 2)).astype("float32")


@pytest.mark.parametrize(
    "arguments", [{}, {"use_bias": False, "norm": True}, {"norm": True}]
)
def test_what_is_constant_goes_into_a_bias(arguments):
    model = constant_channel(**arguments)
    narrow = lasso(model, DATA, share=0.8, seed=0)
    assert narrow.get_layer("made").filters == 4
    assert 0.1 not in values(narrow.get_layer("made").bias)
    np.testing.assert_allclose(
        values(narrow(DATA)), values(model(DATA)), atol=1e-3
    )


def test_without_a_bias_the_fit_goes_without():
    model = constant_channel(use_bias=False)
    narrow = lasso(model, DATA, share=0.8, seed=0)
    assert 0.1 not in values(narrow.get_layer("made").bias)
    left = np.abs(values(narrow(DATA)) - values(model(DATA))).max()
    assert 1e-3 < left < 0.3


def both_normalized(x):
    a = layers.BatchNormalization(name="a")(x)
    return layers.Add()([a, layers.BatchNormalization(name="b")(x)])


def normalized_and_more(x):
    return [layers.BatchNormalization(name="a")(x), layers.ReLU()(x)]


def normalized_twice(x):
    bn = layers.BatchNormalization(name="a")
    return bn(bn(x))


@pytest.mark.parametrize(
    "after", [both_normalized, normalized_and_more, normalized_twice]
)
def test_a_normalization_that_others_depend_on_stays(after):
    model = constant_channel(use_bias=False, after=after)
    narrow = lasso(model, DATA, share=0.8, seed=0)
    assert narrow.get_layer("made").filters == 4
    assert not values(narrow.get_layer("a").moving_mean).any()


def test_an_output_of_the_model_stays_what_it_is():
    def after(x):
        return [x, layers.BatchNormalization(name="a")(x)]

    model = constant_channel(use_bias=False, after=after)
    narrow = lasso(model, DATA, share=0.8, seed=0)
    assert not values(narrow.get_layer("a").moving_mean).any()


def test_a_layer_that_reads_channels_of_two_layers():
    inputs = keras.Input((4, 4, 2))
    a = layers.Conv2D(6, 1, activation="relu", name="a")(inputs)
    b = layers.Conv2D(6, 1, activation="relu", name="b")(inputs)
    x = layers.Concatenate()([a, b])
    model = keras.Model(inputs, layers.Conv2D(8, 2, name="read")(x))
    model.get_layer("read").bias.assign(np.arange(8.0))
    narrow = lasso(model, DATA, share=0.5, seed=0)
    assert narrow.get_layer("read").kernel.shape == (2, 2, 6, 8)
    expected = values(model(DATA))
    left = values(narrow(DATA)) - expected
    scatter = np.sum((expected - expected.mean(axis=(0, 1, 2))) ** 2)
    assert np.sum(left**2) < 0.1 * scatter


def test_training_after_each_layer():
    model, seen = constant_channel(), []
    lasso(model, DATA, macs=500, after_each=lambda m: seen.append(m.name))
    assert len(seen) == 1


def test_what_is_refused(trained):
    masked = dsr_tf.sparsify(constant_channel(), 0.5, seed=0)
    with pytest.raises(ValueError, match="kernel of read, .*, is masked"):
        lasso(masked, DATA, 0.5)
    with pytest.raises(ValueError, match="Either `share`"):
        lasso(trained.model, trained.x)
