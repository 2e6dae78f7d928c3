"""Moments of the windows that a convolution reads, and of its filters."""

import keras
import numpy as np
import pytest
from keras import layers

from dsr_tf.structure.statistics import probe
from tests.conftest import values
from tests.structure.probed import images
from tests.structure.probed import network


def test_moments_of_windows_are_those_of_numpy():
    model = keras.Sequential(
        [keras.Input((3, 3, 2)), layers.Conv2D(4, 3, bias_initializer="ones")]
    )
    layer, x = model.layers[0], images(5, (3, 3, 2))
    found = probe.window_moments(model, layer, x, num_places=1, batch_size=2)
    rows = np.concatenate([x.reshape(5, 18), np.ones((5, 1))], axis=1)
    y = keras.ops.convert_to_numpy(model(x)).reshape(5, 4) - 1
    np.testing.assert_allclose(found.xx, rows.T @ rows, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.xy, rows.T @ y, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.energy, np.sum(y**2), rtol=1e-5)

    # What two units of the four filters add at each place.
    layer_kernel = values(layer.kernel).reshape(9, 2, 4)
    added = np.einsum("nkc,kcf->nfc", x.reshape(5, 9, 2), layer_kernel)
    added = added.reshape(-1, 2)
    units = found.contributions(layer_kernel, np.array([[0], [1]]))
    np.testing.assert_allclose(units.gram, added.T @ added, rtol=1e-4)
    np.testing.assert_allclose(units.b, added.T @ y.ravel(), rtol=1e-4)
    assert units.num_samples == 20
    assert units.error(np.ones(2)) < 1e-6
    left = y.ravel() - 0.5 * added[:, 0]
    np.testing.assert_allclose(
        units.error(np.array([0.5, 0.0])),
        np.sum(left**2) / np.sum(y**2),
        rtol=1e-5,
    )

    # With the other channel taken off the targets.
    alone = found.contributions(layer_kernel, np.array([[1]]))
    np.testing.assert_allclose(alone.gram, units.gram[1:, 1:])
    np.testing.assert_allclose(alone.b, units.gram[1:, 1], rtol=1e-4)
    np.testing.assert_allclose(alone.energy, units.gram[1, 1], rtol=1e-4)


def test_targets_of_another_model():
    model, original, x = network(), network(), images()
    original.layers[1].set_weights(
        [2 * weight for weight in original.layers[1].get_weights()]
    )
    arguments = {"seed": 4, "num_places": 6}
    own = probe.window_moments(model, model.layers[1], x, **arguments)
    other = probe.window_moments(
        model,
        model.layers[1],
        x,
        (original, original.layers[1]),
        **arguments,
    )
    # Places are the same, and targets twice as large.
    np.testing.assert_array_equal(own.xx, other.xx)
    np.testing.assert_allclose(2 * own.xy, other.xy, rtol=1e-6)
    np.testing.assert_allclose(4 * own.energy, other.energy)


def test_moments_that_do_not_fit_are_refused():
    inputs = keras.Input((600_000,))
    model = keras.Model(inputs, layers.Dense(1)(inputs))
    with pytest.raises(ValueError, match="The moments of the 600,000 inputs"):
        probe.window_moments(
            model, model.layers[1], np.zeros((1, 600_000), "float32")
        )
