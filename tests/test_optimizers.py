import keras
import numpy as np
import pytest

import dsr_tf
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


def trained(optimizer, seed=0):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((200,)), dsr_tf.layers.SparseDense(100, 0.9, seed=0)]
    )
    model.compile(optimizer, "mse")
    data = np.random.default_rng(seed).normal(size=(32, 300)).astype("float32")
    model.fit(data[:, :200], data[:, 200:], epochs=3, verbose=0)
    return model


KINDS = ["SGD", "Adagrad", "Adam", "RMSprop"]
# With slots as these have.
LIKE_THEM = ["AdamW", "Adamax", "Lion", "Nadam"]


@pytest.mark.parametrize(
    "name",
    [*KINDS, *(pytest.param(n, marks=pytest.mark.slow) for n in LIKE_THEM)],
)
def test_slots_of_inactive_weights_take_no_room(name, tmp_path):
    """A file shrinks, and what it gives back is what there was."""
    settings = {"momentum": 0.9} if name in ("SGD", "RMSprop") else {}
    sizes = []
    for kind in (getattr(optimizers, name), getattr(keras.optimizers, name)):
        model = trained(kind(0.01, **settings))
        model.save(tmp_path / f"{len(sizes)}.keras")
        sizes.append((tmp_path / f"{len(sizes)}.keras").stat().st_size)
    if name != "Adagrad":  # Whose slots begin with a tenth each.
        assert sizes[0] < 0.5 * sizes[1]
    # Ours reads its own file, and that of Keras' optimizer.
    for file in ("0.keras", "1.keras"):
        kinds = {name: getattr(optimizers, name)}
        with keras.saving.custom_object_scope(kinds):
            loaded = keras.models.load_model(tmp_path / file)
        for ours, theirs in zip(
            model.optimizer.variables, loaded.optimizer.variables, strict=True
        ):
            np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


def test_whose_optimizer_it_is():
    """A class of its own that reads Keras' files is still Keras' class."""
    optimizer = optimizers.AdamW(0.01, weight_decay=0.1)
    assert isinstance(optimizer, keras.optimizers.AdamW)
    config = keras.optimizers.serialize(optimizer)
    assert config["registered_name"] == "dsr_tf>AdamW"
    again = keras.optimizers.deserialize(config)
    assert type(again) is optimizers.AdamW
    assert again.weight_decay == 0.1
