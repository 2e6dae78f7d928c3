"""Proximal steps, and the optimizer that takes them."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from keras import ops

import dsr_tf
from dsr_tf.optimizers import SGD
from dsr_tf.proximal import GroupSoftThreshold
from dsr_tf.proximal import SoftThreshold
from dsr_tf.regularizers import GroupLasso


def test_soft_threshold_by_hand():
    step = SoftThreshold(0.5)
    found = step(ops.convert_to_tensor([0.3, -0.3, 0.1, -0.05, 0.0]), 0.2)
    np.testing.assert_allclose(found, [0.2, -0.2, 0, 0, 0], atol=1e-7)
    assert np.array_equal(np.asarray(found)[2:], [0, 0, 0])


def test_group_soft_threshold_by_hand():
    # The norms of columns are 5, 0 and 0.5.
    weights = np.array([[3.0, 0.0, 0.3], [4.0, 0.0, -0.4]], "float32")
    found = GroupSoftThreshold(2, "channel")(
        ops.convert_to_tensor(weights), 0.5
    )
    np.testing.assert_allclose(
        found, [[2.4, 0, 0], [3.2, 0, 0]], rtol=1e-6, atol=0
    )


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**16),
    st.floats(0.001, 2),
    st.floats(0.001, 1),
    st.sampled_from(["element", "channel", "input", "shape", "layer"]),
)
def test_it_is_the_least_of_penalty_and_distance(seed, strength, rate, name):
    """Nothing near it is less than what defines a proximal step."""
    generator = np.random.default_rng(seed)
    weights = generator.normal(0, 0.3, (2, 2, 3, 4)).astype("float32")
    lasso = GroupLasso(strength, name)
    found = np.asarray(
        GroupSoftThreshold(strength, name)(
            ops.convert_to_tensor(weights), rate
        ),
        "float64",
    )

    def value(x):
        penalty = float(lasso(ops.convert_to_tensor(x)))
        return ((x - weights) ** 2).sum() / 2 / rate + penalty

    least = value(found)
    for scale in (1e-3, 1e-2, 0.1):
        other = found + generator.normal(0, scale, found.shape)
        assert value(other) >= least - 1e-5 * (1 + abs(least))
    if name == "element":
        same = SoftThreshold(strength)(ops.convert_to_tensor(weights), rate)
        np.testing.assert_allclose(found, same, atol=1e-6)


def authors_rule(weight, momentum, gradient, rate, mu, gamma):
    """`huangzehao/sparse-structure-selection`, `core/optimizer.py`."""
    momentum = momentum * mu
    z = weight - rate * gradient
    z = np.sign(z) * np.maximum(0, np.abs(z) - rate * gamma)
    momentum = momentum + (z - weight)
    return np.maximum(0, z + mu * momentum), momentum


@pytest.mark.parametrize(
    "jit_compile, dtype, tolerance",
    [(True, "float32", 1e-6), (False, "float64", 1e-12)],
)
def test_it_is_the_authors_accelerated_proximal_gradient(
    jit_compile, dtype, tolerance
):
    if keras.backend.backend() == "jax" and dtype == "float64":
        pytest.skip("JAX has no float64 unless told")
    generator = np.random.default_rng(0)
    target = generator.normal(0.2, 0.4, 50).astype(dtype)
    noise = generator.normal(0, 0.3, (400, 50)).astype(dtype)
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [200, 300], [0.1, 0.01, 0.001]
    )
    # (Keras makes numbers float32 before any other type.)
    mu, gamma = np.float32(0.9).astype(dtype), np.array(0.1, dtype)
    optimizer = SGD(
        schedule,
        momentum=0.9,
        nesterov=True,
        l2=0.5,
        proximal={"scale$": SoftThreshold(0.1, non_negative=True)},
    )
    scale = keras.Variable(np.ones(50), dtype=dtype, name="scale")
    optimizer.build([scale])

    def update(gradient):
        optimizer.apply([gradient], [scale])

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        update = tf.function(update, jit_compile=jit_compile)
    expected, momentum = np.ones(50, dtype), np.zeros(50, dtype)
    for step in range(400):
        rate = np.dtype(dtype).type(schedule(step))
        gradient = np.asarray(scale) - target + noise[step]
        update(ops.convert_to_tensor(gradient))
        gradient = expected - target + noise[step]
        expected, momentum = authors_rule(
            expected, momentum, gradient, rate, mu, gamma
        )
        np.testing.assert_allclose(scale, expected, rtol=0, atol=tolerance)
    zeros = expected == 0
    assert 10 < zeros.sum() < 40
    assert np.array_equal(np.asarray(scale) == 0, zeros)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_without_strength_it_is_keras(momentum, nesterov):
    settings = {"momentum": momentum, "nesterov": nesterov}
    ours = SGD(0.1, **settings, proximal={"": SoftThreshold(0)})
    values = []
    for optimizer in (ours, keras.optimizers.SGD(0.1, **settings)):
        weights = keras.Variable([2.0, -3.0, 0.5])
        for _ in range(9):
            gradient = ops.convert_to_tensor(weights) - 1
            optimizer.apply([gradient], [weights])
        values.append(np.asarray(weights))
    np.testing.assert_allclose(*values, rtol=1e-5)


def test_groups_become_exact_zeros_with_nesterov():
    weights = keras.Variable(np.full((3, 2), [1.0, 0.2], "float32"))
    optimizer = SGD(
        0.1, 0.9, nesterov=True, proximal={"": GroupSoftThreshold(1.0)}
    )
    target = np.array([[2.0, 0.1]] * 3, "float32")
    for _ in range(100):
        gradient = ops.convert_to_tensor(weights) - target
        optimizer.apply([gradient], [weights])
    # The first group: 2 less its share of the strength.
    np.testing.assert_allclose(
        weights, [[2 - 1 / np.sqrt(3), 0]] * 3, rtol=1e-4
    )
    assert not np.asarray(weights)[:, 1].any()


def test_only_what_an_expression_finds():
    """Others have l2; those have neither that nor weight decay."""
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(2, name="a"),
            dsr_tf.layers.Scale(name="b"),
        ]
    )
    optimizer = SGD(
        0.1, l2=0.5, weight_decay=0.5, proximal={"b/scale$": SoftThreshold(2)}
    )
    optimizer.build(model.trainable_variables)
    kernel = np.array(model.layers[0].kernel)
    zeros = [ops.zeros(v.shape) for v in model.trainable_variables]
    optimizer.apply(zeros, model.trainable_variables)
    np.testing.assert_allclose(
        model.layers[0].kernel, kernel * 0.95 * 0.95, rtol=1e-5
    )
    np.testing.assert_allclose(model.layers[1].scale, [0.8], rtol=1e-6)


def test_the_first_expression_counts():
    variables = [
        keras.Variable([1.0], name="a"),
        keras.Variable([1.0], name="b"),
    ]
    optimizer = SGD(
        1.0, proximal={"a": SoftThreshold(0.1), "[ab]": SoftThreshold(0.5)}
    )
    optimizer.apply([ops.zeros(1), ops.zeros(1)], variables)
    np.testing.assert_allclose(variables[0], [0.9])
    np.testing.assert_allclose(variables[1], [0.5])


def test_it_serialises():
    optimizer = SGD(
        0.1,
        0.9,
        proximal={
            "scale$": SoftThreshold(0.01, True),
            "kernel": GroupSoftThreshold(0.1, "shape"),
        },
    )
    config = keras.saving.serialize_keras_object(optimizer)
    copy = keras.saving.deserialize_keras_object(config)
    assert copy.get_config() == optimizer.get_config()
    assert copy.proximal["scale$"].non_negative
    assert copy.proximal["kernel"].lasso.granularity.name == "shape"
    # Of before there were rules.
    del config["config"]["proximal"]
    assert not keras.saving.deserialize_keras_object(config).proximal


@pytest.mark.parametrize(
    "proximal, message",
    [
        ({"(": SoftThreshold(1)}, "must be a dict from regular expressions"),
        ({"a": 0.1}, "must be a dict from regular expressions"),
        ([SoftThreshold(1)], "must be a dict from regular expressions"),
        ({"nowhere": SoftThreshold(1)}, "no trainable variable. .*'nowhere'"),
        (
            {"bias": GroupSoftThreshold(1, axes=(3,))},
            "does not fit 'dense/bias': `axes` must be among",
        ),
    ],
    ids=["no_expression", "no_rule", "no_dict", "nowhere", "axes"],
)
def test_bad_rules(proximal, message):
    layer = keras.layers.Dense(2, name="dense")
    layer.build((None, 3))
    with pytest.raises(ValueError, match=message):
        SGD(proximal=proximal).build(layer.trainable_variables)


def test_a_bad_strength():
    with pytest.raises(ValueError, match="Received: strength=-1"):
        SoftThreshold(-1)
    with pytest.raises(ValueError, match="Received: strength=-1"):
        GroupSoftThreshold(-1)


def residual(dtype=None):
    """Two branches, of which the labels need one."""
    inputs = keras.Input((4,))
    x = keras.layers.Dense(4, name="stem", dtype=dtype)(inputs)
    for name in ("first", "second"):
        y = keras.layers.Dense(4, "relu", name=name, dtype=dtype)(x)
        y = dsr_tf.layers.Scale(name=f"{name}_scale", dtype=dtype)(y)
        x = keras.layers.Add(dtype=dtype)([x, y])
    return keras.Model(inputs, keras.layers.Dense(1, name="out")(x))


def compiled(model, strength=0.5, **settings):
    rule = SoftThreshold(strength, non_negative=True)
    model.compile(
        SGD(0.05, 0.9, nesterov=True, proximal={"_scale/scale$": rule}),
        "mse",
        **settings,
    )
    return model


def data():
    x = np.random.default_rng(0).normal(size=(256, 4)).astype("float32")
    return x, np.abs(x[:, :1])


def test_fit():
    """Compiled, several steps at once, and losses that are scaled."""
    keras.utils.set_random_seed(0)
    model = compiled(
        residual("mixed_float16"), jit_compile=True, steps_per_execution=4
    )
    model.fit(*data(), batch_size=32, epochs=4, verbose=0)
    scales = [
        float(model.get_layer(f"{n}_scale").scale[0])
        for n in ("first", "second")
    ]
    assert min(scales) == 0


def test_replicas():
    """Two replicas train as one does, and agree."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("replicas are TensorFlow's")
    import tensorflow as tf

    x, y = data()
    found = []
    for strategy in (
        tf.distribute.get_strategy(),
        tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]),
    ):
        keras.utils.set_random_seed(0)
        with strategy.scope():
            model = compiled(residual(), 0.2, jit_compile=False)
        model.fit(x, y, batch_size=64, epochs=2, shuffle=False, verbose=0)
        found.append([np.asarray(v) for v in model.trainable_variables])
        scale = model.get_layer("second_scale").scale.value
        copies = getattr(scale, "values", (scale,))
        assert len({float(copy[0]) for copy in copies}) == 1
    for one, other in zip(*found):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_file_goes_on(tmp_path):
    """Optimizer, rules and momentum are saved."""
    keras.utils.set_random_seed(0)
    model = compiled(residual(), strength=0.1)
    model.fit(*data(), batch_size=32, epochs=1, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    copy = keras.models.load_model(tmp_path / "model.keras")
    for one in (model, copy):
        one.fit(*data(), batch_size=32, epochs=2, shuffle=False, verbose=0)
    for ours, theirs in zip(model.weights, copy.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert float(copy.get_layer("first_scale").scale[0]) != 1
