import keras
import numpy as np
import pytest

from dsr_tf import layers
from dsr_tf.layers.masked_variable import exporting
from tests.conftest import gradient_of
from tests.conftest import values

KINDS = {
    "dense": (lambda **k: layers.SparseDense(7, **k), (2, 5)),
    "conv1d": (lambda **k: layers.SparseConv1D(7, 3, **k), (2, 9, 5)),
    "conv2d": (
        lambda **k: layers.SparseConv2D(8, 3, groups=2, strides=2, **k),
        (2, 9, 9, 4),
    ),
    "conv1d transpose": (
        lambda **k: layers.SparseConv1DTranspose(4, 3, strides=2, **k),
        (2, 5, 3),
    ),
    "conv3d transpose": (
        lambda **k: layers.SparseConv3DTranspose(2, 2, strides=2, **k),
        (2, 3, 3, 3, 3),
    ),
    "depthwise 1d": (
        lambda **k: layers.SparseDepthwiseConv1D(
            3, depth_multiplier=2, padding="same", **k
        ),
        (2, 6, 5),
    ),
    "conv3d": (lambda **k: layers.SparseConv3D(4, 2, **k), (2, 5, 5, 5, 3)),
    "depthwise": (
        lambda **k: layers.SparseDepthwiseConv2D(
            3, depth_multiplier=2, padding="same", **k
        ),
        (2, 6, 6, 5),
    ),
    "transpose": (
        lambda **k: layers.SparseConv2DTranspose(4, 3, strides=2, **k),
        (2, 5, 5, 3),
    ),
    "einsum": (
        lambda **k: layers.SparseEinsumDense(
            "abc,cd->abd", (None, 8), bias_axes="d", **k
        ),
        (2, 4, 6),
    ),
    "embedding": (lambda **k: layers.SparseEmbedding(11, 6, **k), None),
}


@pytest.fixture(params=KINDS)
def kind(request):
    make, shape = KINDS[request.param]
    if shape is None:
        return make, np.arange(8).reshape(2, 4)
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    return make, x


def built(make, x, **arguments):
    layer = make(**arguments)
    layer(x)
    return layer


def values_beside(layer):
    """Those of the dense layer but for its kernel."""
    return [values(v) for v in layer.trainable_variables[1:]]


def kernel_of(layer):
    (weight,) = layers.masked_weights(layer)
    return weight.kernel


def test_exact_count_and_zeros(kind):
    layer = built(*kind, sparsity=0.6, seed=5)
    (weight,) = layers.masked_weights(layer)
    mask, kernel = values(weight.mask), values(weight.kernel)
    assert mask.dtype == bool and mask.itemsize == 1
    assert mask.sum() == weight.num_active == round(0.4 * weight.size)
    assert not kernel[~mask].any()
    assert kernel[mask].all()


def test_seeds(kind):
    make, x = kind

    def mask(**k):
        return values(built(make, x, sparsity=0.5, **k).mask)

    assert np.array_equal(mask(seed=3), mask(seed=3))
    assert not np.array_equal(mask(seed=3), mask(seed=4))
    assert not np.array_equal(mask(), mask())


def test_output_is_keras_own_on_the_masked_kernel(kind):
    """Whatever the stored values outside of the mask may be."""
    make, x = kind
    layer = built(make, x, sparsity=0.5, seed=1)
    masked = values(kernel_of(layer))
    dense_kind = {m: d for d, m in layers.MASKED_KINDS.items()}[type(layer)]
    config = layer.get_config()
    for name in ("sparsity", "granularity", "seed"):
        config.pop(name)
    dense = dense_kind.from_config(config)
    dense(x)
    dense.set_weights([masked, *values_beside(layer)])
    kernel_of(layer).assign(np.where(values(layer.mask), masked, np.float32(9)))
    np.testing.assert_array_equal(values(layer(x)), values(dense(x)))


def test_gradient_is_zero_outside_the_mask(kind):
    make, x = kind
    layer = built(make, x, sparsity=0.5, seed=1)
    gradient = gradient_of(
        lambda: keras.ops.sum(layer(x) ** 2), kernel_of(layer)
    )
    mask = values(layer.mask)
    assert not gradient[~mask].any()
    assert gradient[mask].any()


def test_serving_reads_the_stored_kernel(kind):
    make, x = kind
    layer = built(make, x, sparsity=0.5, seed=1)
    before = values(layer(x))
    layer.mask.assign(np.zeros(layer.mask.shape, "bool"))
    with exporting():
        np.testing.assert_array_equal(values(layer(x)), before)
    assert not np.array_equal(values(layer(x)), before)


def test_files_and_configs(kind, tmp_path):
    make, x = kind
    layer = make(sparsity=0.5, seed=1)
    inputs = keras.Input(x.shape[1:], dtype=str(x.dtype))
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for old, new in zip(model.weights, loaded.weights):
        np.testing.assert_array_equal(values(old), values(new))
    assert loaded.layers[-1].get_config() == layer.get_config()

    model.save_weights(tmp_path / "model.weights.h5")
    other = keras.models.clone_model(model)
    layer_copy = other.layers[-1]
    layer_copy.mask.assign(np.zeros(layer_copy.mask.shape, "bool"))
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(
        model.predict(x, verbose=0), other.predict(x, verbose=0)
    )


def test_a_file_stores_zeros_whatever_lies_under_the_mask(tmp_path):
    model = keras.Sequential(
        [keras.Input((6,)), layers.SparseDense(4, 0.5, seed=0)]
    )
    layer = model.layers[0]
    kernel_of(layer).assign(np.ones((6, 4)))
    model.save_weights(tmp_path / "m.weights.h5")
    model.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(
        values(kernel_of(layer)), values(layer.mask).astype("float32")
    )


@pytest.mark.parametrize("granularity", ["element", "channel", "block:2x2"])
def test_only_active_weights_are_stored(granularity):
    layer = layers.SparseDense(8, 0.5, granularity=granularity, seed=0)
    layer.build((None, 6))
    store = {}
    layer.save_own_variables(store)
    assert set(store) == {
        "bias",
        "kernel.active",
        "mask.gaps",
        "state",
    }
    assert store["kernel.active"].shape == (24,)
    other = layers.SparseDense(8, 0.5, granularity=granularity, seed=1)
    other.build((None, 6))
    other.load_own_variables(store)
    for ours, theirs in zip(layer.weights, other.weights):
        np.testing.assert_array_equal(values(ours), values(theirs))


def test_files_with_whole_kernels_load():
    layer = layers.SparseDense(4, 0.5, seed=0)
    layer.build((None, 6))
    whole = {weight.name: values(weight) for weight in layer.weights}
    other = layers.SparseDense(4, 0.5, seed=1)
    other.build((None, 6))
    other.load_own_variables(whole)
    for ours, theirs in zip(layer.weights, other.weights):
        np.testing.assert_array_equal(values(ours), values(theirs))


def test_a_damaged_store_is_refused():
    layer = layers.SparseDense(4, 0.5, seed=0)
    layer.build((None, 6))
    store = {}
    layer.save_own_variables(store)
    before = values(kernel_of(layer))
    cut = {**store, "kernel.active": store["kernel.active"][:-1]}
    with pytest.raises(ValueError, match="holds 11 weights: it is damaged"):
        layer.load_own_variables(cut)
    cut = {**store, "mask.gaps": store["mask.gaps"][:-4]}
    with pytest.raises(ValueError, match="positions are damaged"):
        layer.load_own_variables(cut)
    np.testing.assert_array_equal(values(kernel_of(layer)), before)


@pytest.mark.parametrize(
    "state",
    [
        '{"version": 1}',
        '{"version": true}',
        '{"version": NaN}',
        '{"version": -2}',
        '{"version": ' + "9" * 5000 + "}",
        '{"version": 2, "reallocation": [-5, 0, 0, 0]}',
        '{"version": 2, "reallocation": [1, 0, 0, -7]}',
        '{"version": 2, "gradient_window": [-3, -1]}',
        '{"version": 2, "num_moved": [-1]}',
        '{"version": 2, "pruning_threshold": [-0.5]}',
        '{"version": 2, "pruning_threshold": [NaN]}',
        '{"version": 2, "num_moved": ' + "[" * 300 + "]" * 300 + "}",
        "[" * 60000,
        "2",
        "",
    ],
    ids=lambda state: state[:40],
)
def test_a_damaged_state_is_refused(state):
    layer = layers.SparseDense(4, 0.5, seed=0)
    layer.build((None, 6))
    before = [values(variable) for variable in layer.weights]
    store = {}
    layer.save_own_variables(store)
    store["state"] = np.frombuffer(state.encode(), "uint8")
    message = f"The state of layer '{layer.name}' is damaged"
    with pytest.raises(ValueError, match=message):
        layer.load_own_variables(store)
    for variable, old in zip(layer.weights, before):
        np.testing.assert_array_equal(values(variable), old)


@pytest.mark.parametrize(
    "state",
    [
        [np.nan] * 8,
        [2**60] * 8,
        [-1] + [0] * 7,
        [0] * 6 + [-5, 0],
        [0] * 7 + [0x7FC00000],
    ],
    ids=str,
)
def test_a_damaged_state_of_before_is_refused(state):
    layer = layers.SparseDense(4, 0.5, seed=0)
    layer.build((None, 6))
    store = {}
    layer.save_own_variables(store)
    del store["state"]
    store["reallocation_state"] = np.array(state)
    with pytest.raises(ValueError, match=f"'{layer.name}' is damaged"):
        layer.load_own_variables(store)


def test_dense_weights_are_refused(tmp_path):
    dense = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(4, name="x")]
    )
    dense.save_weights(tmp_path / "dense.weights.h5")

    class Store(dict):
        pass

    layer = layers.SparseDense(4, 0.5)
    layer.build((None, 6))
    store = Store({"0": dense.get_weights()[0], "1": dense.get_weights()[1]})
    with pytest.raises(ValueError, match="without a mask.*sparsify"):
        layer.load_own_variables(store)


def test_masked_weights_finds_each_once_and_inside_of_others():
    shared = layers.SparseDense(5, 0.5, name="shared")
    inner = keras.Sequential([keras.Input((5,)), layers.SparseDense(3, 0.5)])
    inputs = keras.Input((5,))
    model = keras.Model(inputs, inner(shared(shared(inputs))))
    found = layers.masked_weights(model)
    assert [w.size for w in found] == [25, 15]
    assert found[0].path == "shared/kernel"
    timed = keras.Sequential(
        [
            keras.Input((4, 5)),
            keras.layers.TimeDistributed(layers.SparseDense(3, 0.5)),
        ]
    )
    assert [w.num_active for w in layers.masked_weights(timed)] == [8]


def test_an_unbuilt_model_is_refused():
    model = keras.Sequential([layers.SparseDense(5, 0.5)])
    with pytest.raises(ValueError, match="not built yet"):
        layers.masked_weights(model)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"sparsity": 1.0}, r"sparsity.*\[0, 1\).*Received: sparsity=1.0"),
        ({"sparsity": -0.1}, "Received: sparsity=-0.1"),
        ({"granularity": "row"}, "one of element.*granularity='row'"),
        ({"seed": -3}, "Received: seed=-3"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.SparseDense(**{"units": 3, **arguments})


def test_units_are_refused_as_keras_refuses_them():
    try:
        keras.layers.Dense(0)
    except ValueError:
        with pytest.raises(ValueError, match="Received: units=0"):
            layers.SparseDense(0)
    else:
        # Keras 3.12 takes any number.
        assert keras.version().startswith("3.12.")
        assert layers.SparseDense(0).units == 0


def test_penalties_are_of_active_weights_only():
    # One that does not leave zeros alone.
    def distance_from_one(kernel):
        return keras.ops.sum(keras.ops.abs(kernel - 1.0))

    layer = layers.SparseDense(
        5, 0.5, seed=0, kernel_regularizer=distance_from_one
    )
    layer.build((None, 8))
    penalty = layer.masked_variables["kernel"].kernel.regularizer
    assert isinstance(penalty, keras.regularizers.Regularizer)
    [weight] = layers.masked_weights(keras.Sequential([layer]))
    # What is stored where weights are inactive is of no account.
    weight.kernel.assign(np.full((8, 5), 3.0))
    assert float(layer.losses[0]) == 20 * 2 + 20 * 1
    assert layer.kernel_regularizer is distance_from_one


@pytest.mark.parametrize("given", ["l2", keras.regularizers.L1(0.25)])
def test_a_layer_keeps_the_penalty_that_it_was_given(given):
    layer = layers.SparseDense(5, 0.5, seed=0, kernel_regularizer=given)
    layer.build((None, 8))
    kept = layer.get_config()["kernel_regularizer"]
    same = keras.layers.Dense(5, kernel_regularizer=given).get_config()
    assert kept == same["kernel_regularizer"]
    copy = layers.SparseDense.from_config(layer.get_config())
    copy.build((None, 8))
    copy.set_weights(layer.get_weights())
    assert float(copy.losses[0]) == float(layer.losses[0]) > 0


def test_embedding_refuses_weights():
    with pytest.raises(ValueError, match="takes no `weights`"):
        layers.SparseEmbedding(3, 2, weights=np.zeros((3, 2)))
