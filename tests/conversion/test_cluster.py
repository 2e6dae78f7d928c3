"""Models whose kernels hold few different weights, and the ways back."""

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import layers
from tests.conftest import values

IMAGES = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")


def network():
    inner = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(6, name="deep")], name="inner"
    )
    shared = keras.layers.Dense(6, name="shared")
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.SeparableConv2D(6, 3, name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Reshape((36, 6))(x)
    x = keras.layers.TimeDistributed(inner, name="each")(x)
    x = keras.layers.GRU(6, name="gru")(x)
    x = shared(shared(x))
    return keras.Model(inputs, keras.layers.Dense(3, name="head")(x))


def kernels(model):
    return {
        path: values(weight.kernel())
        for path, weight in layers.clustered_weights(model).items()
    }


def test_masked_and_dense_layers_are_clustered():
    sparse = dsr_tf.sparsify(network(), 0.5, filters="conv|shared|gru", seed=0)
    model = dsr_tf.cluster(sparse, {"depth": 3, "point": 2, "deep|sh|head": 4})
    assert dict(model.skipped_layers) == {
        "norm": "there is no clustered kind of BatchNormalization",
        "gru": "there is no clustered kind of SparseGRU",
    }
    found = layers.clustered_weights(model)
    assert {path: w.bits for path, w in found.items()} == {
        "conv/depthwise_kernel": 3,
        "conv/pointwise_kernel": 2,
        "each/inner/deep/kernel": 4,
        "shared/kernel": 4,
        "head/kernel": 4,
    }
    summary = dsr_tf.sparsity_summary(model)
    before = dsr_tf.sparsity_summary(sparse)
    active = {layer.path: layer.num_active for layer in before.layers}
    for layer in summary.layers:
        assert layer.num_active == active.get(layer.path, layer.size)
    assert summary.num_parameters == before.num_parameters
    assert summary.num_active_parameters == before.num_active_parameters
    for path, kernel in kernels(model).items():
        different = len(np.unique(kernel[kernel != 0]))
        assert different <= 2 ** found[path].bits


def test_the_ways_back_compute_the_same():
    sparse = dsr_tf.sparsify(network(), 0.5, seed=0)
    model = dsr_tf.cluster(sparse, 3)
    expected = values(model(IMAGES))
    plain = dsr_tf.strip(model)
    assert type(plain.get_layer("head")) is keras.layers.Dense
    masked = dsr_tf.uncluster(model)
    assert type(masked.get_layer("head")) is layers.SparseDense
    for other in (plain, masked, dsr_tf.cluster(masked, 3)):
        np.testing.assert_array_equal(values(other(IMAGES)), expected)
    before, after = (
        {w.path: w.num_active for w in dsr_tf.masked_weights(m)}
        for m in (sparse, masked)
    )
    assert before == after


def test_a_shared_weight_of_0_is_not_pruned():
    layer = layers.CLUSTERED_KINDS[keras.layers.Dense](1, bits=1)
    model = keras.Sequential([keras.Input((4,)), layer])
    layer.codebook.assign([0.0, 2.0])
    layer.codes.assign([[1], [2], [0], [1]])
    (weight,) = dsr_tf.masked_weights(dsr_tf.uncluster(model))
    np.testing.assert_array_equal(weight.mask, [[1], [1], [0], [1]])
    np.testing.assert_array_equal(weight.kernel, [[0], [2], [0], [0]])


def test_a_clustered_model_is_copied_and_trains():
    model = dsr_tf.cluster(dsr_tf.sparsify(network(), 0.5, seed=0), 2)
    copy = dsr_tf.regularize(model, {"head/bias": keras.regularizers.L2(0.1)})
    np.testing.assert_array_equal(values(copy(IMAGES)), values(model(IMAGES)))
    model.compile("sgd", "mse")
    before = kernels(model)
    model.fit(IMAGES, np.ones((4, 3)), verbose=0, epochs=2)
    for path, kernel in kernels(model).items():
        assert (kernel != before[path]).any()
        assert ((kernel == 0) == (before[path] == 0)).all()


def test_starts():
    dense = keras.Sequential([keras.Input((40,)), keras.layers.Dense(30)])
    kernel = values(dense.layers[0].kernel)

    def error(start, seed=0):
        model = dsr_tf.cluster(dense, 4, start=start, seed=seed)
        return float(np.square(values(model.layers[0].kernel) - kernel).sum())

    errors = [error(start) for start in ("linear", "quantile", "random")]
    assert error("best") == min(errors)
    assert error("random") == errors[2] != error("random", 1)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"bits": 0}, "`bits` must be an integer from 1 to 8. Received: b"),
        ({"bits": {"[": 3}}, "dict from regular expressions to integers"),
        ({"bits": {"fc": 3, "head": 2}}, r"by \['fc'\]. Received: bits="),
        ({"bits": {}}, "nothing is found in conv/"),
        ({"bits": {"he": 3, "head": 2}}, "head/kernel is matched by "),
        ({"bits": 3, "start": "x"}, "`start` must be one of linear, "),
        ({"bits": 3, "filters": "x"}, "no layer to cluster.*norm"),
        ({"bits": 3, "seed": -1}, "`seed` must be"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        dsr_tf.cluster(network(), **arguments)


def test_nothing_to_do():
    dense = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, kernel_constraint="non_neg", name="top"),
        ]
    )
    with pytest.raises(ValueError, match="top: its kernel is held to a con"):
        dsr_tf.cluster(dense, 3)
    with pytest.raises(TypeError, match="Keras model"):
        dsr_tf.cluster("model", 3)
    with pytest.raises(ValueError, match="no clustered layers: there is noth"):
        dsr_tf.uncluster(dense)
    clustered = dsr_tf.cluster(
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]), 3
    )
    with pytest.raises(ValueError, match="it is clustered already"):
        dsr_tf.cluster(clustered, 3)
    with pytest.raises(ValueError, match="no layer to mask.*clustered already"):
        dsr_tf.sparsify(clustered, 0.5)
