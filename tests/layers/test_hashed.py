import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import layers
from tests.conftest import gradient_of
from tests.conftest import needs_tensorflow
from tests.conftest import slow_on_jax
from tests.conftest import values


def make(layer, shape):
    layer.build((None, *shape))
    return layer


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.7, 0.99])
def test_every_weight_of_the_bank_stands_equally_often(sparsity):
    layer = make(layers.HashedDense(7, sparsity=sparsity, seed=1), (13,))
    size = layer.bank.shape[0]
    assert size == max(1, round((1 - sparsity) * 91))
    layer.bank.assign(np.arange(size))
    found, counts = np.unique(values(layer.kernel), return_counts=True)
    assert found.tolist() == list(range(size))
    assert set(counts) <= {91 // size, 91 // size + 1}


def test_the_gradient_is_summed_over_the_positions():
    layer = make(layers.HashedDense(7, sparsity=0.8, seed=1), (13,))
    weights = np.random.default_rng(0).normal(size=(13, 7)).astype("float32")
    gradient = gradient_of(
        lambda: keras.ops.sum(layer.kernel * weights), layer.bank
    )
    layer.bank.assign(np.arange(18))
    index = values(layer.kernel).astype(int).reshape(-1)
    expected = np.bincount(index, weights=weights.reshape(-1))
    np.testing.assert_allclose(gradient, expected, atol=1e-5)


def test_positions_depend_on_the_seed_only():
    def kernel(seed):
        layer = make(layers.HashedDense(7, sparsity=0.8, seed=seed), (13,))
        layer.bank.assign(np.arange(18))
        return values(layer.kernel)

    np.testing.assert_array_equal(kernel(1), kernel(1))
    assert (kernel(1) != kernel(2)).any()


def test_initial_weights_are_scaled_by_the_kernel():
    layer = layers.HashedDense(
        100, sparsity=0.9, seed=0, kernel_initializer="he_normal"
    )
    make(layer, (400,))
    assert values(layer.bank).std() == pytest.approx((2 / 400) ** 0.5, rel=0.1)


def conv_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.HashedConv2D(6, 3, sparsity=0.8, activation="relu"),
            keras.layers.Flatten(),
            layers.HashedDense(4, sparsity=0.9, kernel_regularizer="l2"),
        ]
    )


@pytest.mark.parametrize(
    "jit_compile, policy",
    [
        pytest.param(False, "float32", marks=slow_on_jax),
        (True, "mixed_bfloat16"),
    ],
)
def test_trains_saves_and_loads(tmp_path, policy, jit_compile):
    keras.config.set_dtype_policy(policy)
    model = conv_model()
    model.compile("adam", "mse", jit_compile=jit_compile)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(64, 8, 8, 3)).astype("float32")
    y = x.reshape(64, -1)[:, :4]
    losses = model.fit(x, y, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model.predict(x), loaded.predict(x))
    assert model.count_params() == loaded.count_params() == 32 + 6 + 86 + 4


def test_files_of_other_layers_are_refused(tmp_path):
    path = tmp_path / "dense.weights.h5"
    dense = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
    dense.save_weights(path)
    hashed = keras.Sequential([keras.Input((5,)), layers.HashedDense(3)])
    with pytest.raises(ValueError):
        hashed.load_weights(path)


def test_tie_and_strip():
    dense = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(6, 3, name="conv"),
            keras.layers.Conv2D(2, 3, name="other"),
            keras.layers.Flatten(),
            keras.layers.Dense(4, name="top"),
        ]
    )
    tied = dsr_tf.tie(dense, 0.8, filters=["conv", "top"], seed=3)
    assert type(tied.get_layer("conv")) is layers.HashedConv2D
    assert tied.skipped_layers == {"other": "the filters leave it out"}
    for name in ("conv", "top"):
        bank = set(values(tied.get_layer(name).bank))
        assert bank <= set(values(dense.get_layer(name).kernel).reshape(-1))
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    plain = dsr_tf.strip(tied)
    assert type(plain.get_layer("top")) is keras.layers.Dense
    np.testing.assert_allclose(plain(x), tied(x), rtol=1e-6)
    summary = dsr_tf.sparsity_summary(tied)
    assert summary.num_parameters == sum(
        int(np.prod(v.shape)) for v in tied.trainable_variables
    )


def test_nothing_to_tie():
    model = keras.Sequential([keras.Input((4, 3)), keras.layers.GRU(3)])
    with pytest.raises(ValueError, match="no layer to tie.*GRU"):
        dsr_tf.tie(model, 0.5)
    with pytest.raises(TypeError, match="Keras model"):
        dsr_tf.tie("model", 0.5)


@needs_tensorflow
def test_tied_models_are_exported(tmp_path):
    import tensorflow as tf

    model = dsr_tf.tie(dsr_tf.strip(dsr_tf.sparsify(dense_net(), 0.5)), 0.9)
    x = np.random.default_rng(0).normal(size=(4, 12)).astype("float32")
    dsr_tf.export.saved_model(model, tmp_path / "m")
    loaded = tf.saved_model.load(tmp_path / "m")
    (output,) = loaded.signatures["serving_default"](tf.constant(x)).values()
    np.testing.assert_array_equal(output, model(x))


def dense_net():
    return keras.Sequential(
        [keras.Input((12,)), keras.layers.Dense(20), keras.layers.Dense(3)]
    )
