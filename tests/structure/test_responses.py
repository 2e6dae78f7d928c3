"""What layers answer to examples: means and covariances of channels."""

import keras
import numpy as np
import pytest
from keras import layers

from dsr_tf.structure.statistics import probe
from tests.structure.probed import images
from tests.structure.probed import network
from tests.structure.probed import shared


@pytest.mark.parametrize("pool", ["max", "mean"])
def test_responses_are_those_of_numpy(pool):
    model, x = network(), images(11)
    wanted = [model.layers[0], model.layers[3]]
    found = probe.responses(model, wanted, (x, None), pool, batch_size=4)
    outputs = keras.Model(model.inputs[0], [own.output for own in wanted])(x)
    convolved, dense = map(keras.ops.convert_to_numpy, outputs)
    for own, rows in zip(found, (getattr(convolved, pool)((1, 2)), dense)):
        assert own.number == 11
        np.testing.assert_allclose(own.mean, rows.mean(0), rtol=1e-5)
        np.testing.assert_allclose(
            own.covariance, np.cov(rows, rowvar=False), rtol=1e-3, atol=1e-6
        )


def test_responses_far_from_zero():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2)])
    model.layers[0].set_weights([np.eye(2), np.full(2, 4096.0)])
    x = images(40, (2,))
    (found,) = probe.responses(model, model.layers, x, batch_size=7)
    expected = np.cov(x, rowvar=False)
    np.testing.assert_allclose(found.covariance, expected, atol=2e-3)


def test_responses_of_all_calls():
    model, layer, _ = shared()
    (found,) = probe.responses(model, [layer], images(4, (5, 4)))
    assert found.number == 8


def test_one_response_has_no_covariance():
    model = network()
    (found,) = probe.responses(model, model.layers[:1], images(1))
    with pytest.raises(ValueError, match="at least two examples"):
        _ = found.covariance
