import keras
import numpy as np
import pytest

from dsr_tf import losses
from dsr_tf import optimizers


def run(optimizer, penalty=None):
    """Weights after five steps on half a sum of squares of (w - 1)."""
    weights = keras.Variable([2.0, -3.0, 0.5])
    for _ in range(5):
        value = np.asarray(weights)
        gradient = value - 1 + (penalty or 0) * value
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [weights])
    return np.asarray(weights)


@pytest.mark.parametrize("nesterov", [False, True])
def test_l2_is_a_gradient(nesterov):
    settings = {"learning_rate": 0.1, "momentum": 0.9, "nesterov": nesterov}
    np.testing.assert_allclose(
        run(optimizers.SGD(**settings, l2=0.3)),
        run(keras.optimizers.SGD(**settings), penalty=0.3),
        rtol=1e-6,
    )


def test_without_l2_it_is_keras():
    np.testing.assert_array_equal(
        run(optimizers.SGD(0.1, 0.9)), run(keras.optimizers.SGD(0.1, 0.9))
    )


def test_it_serialises():
    optimizer = optimizers.SGD(
        optimizers.WarmUp(keras.optimizers.schedules.CosineDecay(0.5, 9), 4),
        momentum=0.8,
        nesterov=True,
        l2=0.25,
    )
    config = keras.saving.serialize_keras_object(optimizer)
    copy = keras.saving.deserialize_keras_object(config)
    assert copy.get_config() == optimizer.get_config()
    assert copy.l2 == 0.25 and copy.nesterov


def test_a_negative_l2():
    with pytest.raises(ValueError, match="at least 0. Received: l2=-1"):
        optimizers.SGD(l2=-1)


def test_warm_up():
    rates = optimizers.WarmUp(0.4, 4)
    np.testing.assert_allclose(
        [float(rates(step)) for step in range(6)],
        [0.1, 0.2, 0.3, 0.4, 0.4, 0.4],
        rtol=1e-6,
    )


def test_smoothed_labels():
    logits = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")
    labels = np.array([0, 4, 2, 2, 1, 3])
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    smooth = 0.9 * np.eye(5)[labels] + 0.1 / 5
    loss = losses.SmoothedCrossentropy(0.1)
    assert float(loss(labels, logits)) == pytest.approx(
        -(smooth * log_p).sum(axis=1).mean(), rel=1e-5
    )
    copy = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(loss)
    )
    assert float(copy(labels, logits)) == float(loss(labels, logits))
