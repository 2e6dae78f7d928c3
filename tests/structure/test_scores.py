"""Scores of units, by hand."""

import keras
import numpy as np
import pytest
from keras import layers

from dsr_tf.structure import channel_sets
from dsr_tf.structure.choice import scores


def network():
    """A convolution that a normalization follows, and a dense layer reads."""
    model = keras.Sequential(
        [
            keras.Input((2, 1, 1)),
            layers.Conv2D(3, 1, name="conv"),
            layers.BatchNormalization(name="bn"),
            layers.Flatten(),
            layers.Dense(2, name="dense"),
        ]
    )
    model.get_layer("conv").set_weights(
        [np.array([[[[1.0, -3.0, 2.0]]]]), np.full(3, 9.0)]
    )
    model.get_layer("bn").gamma.assign([-2.0, 1.0, 0.5])
    # Positions 0 to 2 are the units at the first place, 3 to 5 at the other.
    kernel = np.array([[1, 0], [0, 3], [0, 0], [1, -1], [4, 0], [0, 0]])
    model.get_layer("dense").set_weights([kernel, np.zeros(2)])
    return model


def test_norms():
    (found,) = channel_sets(network())
    np.testing.assert_array_equal(scores.norm(found), [1, 3, 2])
    np.testing.assert_array_equal(scores.norm(found, role="in"), [3, 7, 0])
    np.testing.assert_allclose(
        scores.norm(found, order=2, role="in"), [3**0.5, 5, 0]
    )
    assert scores.norm(found).dtype == "float64"


def test_scales():
    (found,) = channel_sets(network())
    np.testing.assert_array_equal(scores.scale(found), [2, 1, 0.5])


def stream():
    inputs = keras.Input((4, 4, 1))
    x = layers.Conv2D(2, 1, name="shortcut")(inputs)
    y = layers.Conv2D(2, 1, name="last")(inputs)
    for conv, weights in ((x, [1.0, 2.0]), (y, [10.0, -5.0])):
        layer = conv._keras_history.operation
        layer.kernel.assign(np.reshape(weights, (1, 1, 1, 2)))
    z = layers.Add()([x, y])
    a = layers.BatchNormalization(gamma_initializer="ones")(z)
    b = layers.BatchNormalization(gamma_initializer="zeros")(z)
    z = layers.Conv2D(1, 1)(layers.Add()([a, b]))
    return keras.Model(inputs, z)


def test_several_layers_make_a_unit():
    (found,) = channel_sets(stream())
    np.testing.assert_array_equal(scores.norm(found), [11, 7])
    np.testing.assert_array_equal(scores.norm(found, layers="short"), [1, 2])
    np.testing.assert_array_equal(scores.scale(found), [0.5, 0.5])


def test_what_is_refused():
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(4), layers.Dense(2)]
    )
    (found,) = channel_sets(model)
    with pytest.raises(ValueError, match="normalization with a gamma"):
        scores.scale(found)
    with pytest.raises(ValueError, match="weights to be scored by.*'conv'"):
        scores.norm(found, layers="conv")
    with pytest.raises(ValueError, match="`order` must be"):
        scores.norm(found, order=0.5)
