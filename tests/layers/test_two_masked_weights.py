"""Layers with two masked kernels, each with a mask of its own."""

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import layers
from dsr_tf import methods
from dsr_tf.callbacks import GradualPruning
from dsr_tf.callbacks import Reallocation
from tests.conftest import assert_same
from tests.conftest import assert_zero_outside_masks
from tests.conftest import needs_tensorflow
from tests.conftest import values

NAMES = ["depthwise_kernel", "pointwise_kernel"]
KINDS = {
    "1d": (
        layers.SparseSeparableConv1D,
        keras.layers.SeparableConv1D,
        (2, 9, 4),
    ),
    "2d": (
        layers.SparseSeparableConv2D,
        keras.layers.SeparableConv2D,
        (2, 7, 7, 4),
    ),
}


@pytest.fixture(params=KINDS)
def kind(request):
    sparse, dense, shape = KINDS[request.param]
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    return sparse, dense, x


def built(make, x, **arguments):
    layer = make(6, 3, depth_multiplier=2, padding="same", **arguments)
    layer(x)
    return layer


def model_of(make, x, filters=6, **arguments):
    inputs = keras.Input(x.shape[1:])
    outputs = make(filters, 3, padding="same", name="both", **arguments)(inputs)
    return keras.Model(inputs, layers.SparseDense(5, 0.5, seed=1)(outputs))


def test_each_kernel_has_its_mask(kind):
    sparse, dense, x = kind
    layer = built(sparse, x, sparsity=0.5, seed=1)
    found = layers.masked_weights(layer)
    assert [weight.path for weight in found] == NAMES
    for weight in found:
        assert weight.num_active == weight.size // 2
        kernel, mask = values(weight.kernel), values(weight.mask)
        assert kernel[mask].all() and not kernel[~mask].any()
    assert not np.array_equal(
        values(found[0].mask).reshape(-1)[:36],
        values(found[1].mask).reshape(-1)[:36],
    )
    twin = built(dense, x)
    twin.set_weights([values(v) for v in layer.trainable_variables])
    # Whatever lies under the masks.
    for weight in found:
        weight.kernel.assign(
            np.where(values(weight.mask), values(weight.kernel), 9)
        )
    np.testing.assert_array_equal(values(layer(x)), values(twin(x)))


def test_sparsity_by_name(kind):
    sparse, _, x = kind
    given = {"depthwise_kernel": 0.25, "pointwise_kernel": 0.75}
    layer = built(sparse, x, sparsity=given, seed=1)
    first, second = layers.masked_weights(layer)
    assert first.num_active == round(0.75 * first.size)
    assert second.num_active == round(0.25 * second.size)
    assert layer.sparsity == given
    again = sparse.from_config(layer.get_config())
    assert again.sparsity == given
    with pytest.raises(ValueError, match="one for each of depthwise_kernel"):
        sparse(6, 3, sparsity={"kernel": 0.5})


def test_channels(kind):
    sparse, _, x = kind
    layer = built(sparse, x, sparsity=0.5, granularity="channel", seed=1)
    first, second = layers.masked_weights(layer)
    # Four channels, two filters each; six output channels.
    assert first.grouping.num_groups == 8
    assert second.grouping.num_groups == 6


def test_files(kind, tmp_path):
    sparse, _, x = kind
    model = model_of(sparse, x, sparsity=0.7, seed=2)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for old, new in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(values(old), values(new))
    paths = [weight.path for weight in dsr_tf.masked_weights(loaded)]
    assert paths[:2] == [f"both/{name}" for name in NAMES]


def test_sparsify_and_strip(kind):
    _, dense, x = kind
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, dense(6, 3, name="both")(inputs))
    same = dsr_tf.sparsify(model, 0)
    np.testing.assert_array_equal(values(model(x)), values(same(x)))
    sparse = dsr_tf.sparsify(model, 0.6, seed=0)
    found = dsr_tf.masked_weights(sparse)
    total = sum(weight.size for weight in found)
    assert sum(weight.num_active for weight in found) == round(0.4 * total)
    back = dsr_tf.strip(sparse)
    assert type(back.layers[-1]) is dense
    np.testing.assert_array_equal(values(back(x)), values(sparse(x)))


METHODS = {
    "dsr": methods.DSR(20, initial_threshold=0.3),
    "set": methods.SET(0.3),
    "rigl": methods.RigL(0.3, None),
    "snfs": methods.SNFS(0.3, None),
}
if keras.backend.backend() == "tensorflow":
    METHODS["deep_r"] = methods.DeepR(1e-2)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_weights_move_in_both(method):
    sparse, _, shape = KINDS["1d"]
    x = np.random.default_rng(0).normal(size=(24, *shape[1:]))
    x = x.astype("float32")
    model, records = model_of(sparse, x, 24, sparsity=0.5, seed=2), []
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    before = {w.path: values(w.mask) for w in dsr_tf.masked_weights(model)}
    target = np.ones((24, 9, 5), "float32")
    callback = Reallocation(method, 2, seed=0, listener=records.append)
    model.fit(x, target, 4, 2, verbose=0, callbacks=[callback])
    assert_zero_outside_masks(model)
    assert len({record.num_active for record in records}) == 1
    moved = {
        weight.path
        for weight in dsr_tf.masked_weights(model)
        if not np.array_equal(values(weight.mask), before[weight.path])
    }
    assert moved >= {f"both/{name}" for name in NAMES}


def test_thresholds_of_their_own():
    sparse, _, shape = KINDS["1d"]
    x = np.random.default_rng(0).normal(size=(24, *shape[1:]))
    x = x.astype("float32")
    model = model_of(sparse, x, sparsity=0.0, seed=2)
    model.compile("sgd", "mse")
    pruning = GradualPruning(
        target_sparsity=0.5,
        pruning_frequency=1,
        sparsity_function_end_step=4,
        threshold_decay=0.5,
    )
    target = np.ones((24, 9, 5), "float32")
    model.fit(x, target, 4, verbose=0, callbacks=[pruning])
    thresholds = values(model.get_layer("both").pruning_threshold)
    assert thresholds.shape == (2,)
    assert (thresholds > 0).all() and thresholds[0] != thresholds[1]


@needs_tensorflow
def test_a_saved_model(tmp_path):
    import tensorflow as tf

    sparse, _, shape = KINDS["2d"]
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    model = model_of(sparse, x, sparsity=0.7, seed=2)
    dsr_tf.export.saved_model(model, tmp_path / "exported")
    loaded = tf.saved_model.load(str(tmp_path / "exported"))
    serve = loaded.signatures["serving_default"]
    outputs = list(serve(tf.constant(x)).values())[0]
    assert_same([outputs.numpy()], [values(model(x))])
