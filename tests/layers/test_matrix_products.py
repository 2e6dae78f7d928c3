"""Layers that multiply by a matrix, some of them in disguise: convolutions of
1x1 and einsum equations, with active weights only."""

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import layers
from dsr_tf.layers import masked_weights
from dsr_tf.models import mobilenet
from tests.conftest import needs_tensorflow
from tests.conftest import values

SETTINGS = {"sparsity": 0.6, "granularity": "block:8", "seed": 0}
# What makes such a layer, and the shape of an example.
LAYERS = {
    "dense": (lambda **k: layers.SparseDense(24, **k), (5, 16)),
    "conv1d": (
        lambda **k: layers.SparseConv1D(
            24, 1, padding="causal", activation="tanh", **k
        ),
        (5, 16),
    ),
    "conv2d": (
        lambda **k: layers.SparseConv2D(24, 1, strides=(2, 3), **k),
        (5, 7, 16),
    ),
    "conv2d same": (
        lambda **k: layers.SparseConv2D(
            24, (1, 1), strides=2, padding="same", use_bias=False, **k
        ),
        (6, 5, 16),
    ),
    "conv3d": (
        lambda **k: layers.SparseConv3D(24, 1, strides=2, **k),
        (2, 3, 4, 16),
    ),
    "einsum": (
        lambda **k: layers.SparseEinsumDense(
            "abc,cd->abd", (None, 24), bias_axes="d", **k
        ),
        (5, 16),
    ),
    "query": (
        lambda **k: layers.SparseEinsumDense(
            "abc,cde->abde", (None, 3, 16), bias_axes="de", **k
        ),
        (5, 16),
    ),
    "narrow heads": (
        lambda **k: layers.SparseEinsumDense(
            "...c,cde->...de", (6, 4), bias_axes="de", **k
        ),
        (5, 16),
    ),
    "output": (
        lambda **k: layers.SparseEinsumDense(
            "abcd,cde->abe", (None, 24), activation="relu", **k
        ),
        (5, 6, 4),
    ),
}


@pytest.fixture(params=LAYERS)
def make(request):
    """A function that makes a model of one layer, and its inputs."""
    kind, shape = LAYERS[request.param]

    def build(**arguments):
        keras.utils.set_random_seed(0)
        inputs = keras.Input(shape)
        layer = kind(**{**SETTINGS, **arguments}, name="layer")
        return keras.Model(inputs, layer(inputs))

    generator = np.random.default_rng(0)
    x = generator.normal(size=(3, *shape)).astype("float32")
    return build, x


# JAX compiles each operation of a step that runs eagerly.
EAGERLY = keras.backend.backend() == "tensorflow"
STORAGES = [
    ("blocks", "block:8"),
    pytest.param("lists", "element", marks=needs_tensorflow),
]


@pytest.mark.parametrize(("storage", "granularity"), STORAGES)
def test_outputs_steps_and_copies(make, storage, granularity):
    """All is as with masks: what is computed, learned and stripped."""
    build, x = make
    stored = build(storage=storage, granularity=granularity)
    matrix = masked_weights(stored)[0].grouping.matrix
    assert matrix.kernel_shape in ((16, 24), (16, 48), (24, 24))
    assert matrix.block_shape == ((8, 8) if storage == "blocks" else (1, 1))
    models = stored, dsr_tf.with_storage(stored, "masked")
    y = np.ones_like(values(stored(x)))
    for _ in range(2):
        outputs = [values(model(x)) for model in models]
        np.testing.assert_allclose(*outputs, atol=1e-5)
        for model in models:
            model.compile(keras.optimizers.SGD(0.5), "mse", run_eagerly=EAGERLY)
            model.train_on_batch(x, y)
    assert_alike(*models)
    back = dsr_tf.with_storage(models[1], storage)
    np.testing.assert_array_equal(
        values(dsr_tf.strip(back)(x)), values(dsr_tf.strip(models[1])(x))
    )


def assert_alike(stored, masked):
    ours, theirs = (masked_weights(m)[0].variable for m in (stored, masked))
    np.testing.assert_array_equal(ours.places(), theirs.places())
    np.testing.assert_allclose(ours.groups(), theirs.groups(), atol=1e-5)


def test_files(make, tmp_path):
    build, x = make
    stored, masked = build(storage="blocks"), build(seed=1)
    stored.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert loaded.layers[1].storage == "blocks"
    np.testing.assert_array_equal(values(loaded(x)), values(stored(x)))
    # Weights are in files as those of masked layers are.
    stored.save_weights(tmp_path / "w.weights.h5")
    masked.load_weights(tmp_path / "w.weights.h5")
    assert_alike(stored, masked)
    masked.save_weights(tmp_path / "w.weights.h5")
    loaded.load_weights(tmp_path / "w.weights.h5")
    assert_alike(loaded, masked)


@needs_tensorflow
@pytest.mark.parametrize("name", ["conv2d", "narrow heads"])
def test_exports(name, tmp_path):
    import tensorflow as tf

    kind, shape = LAYERS[name]
    inputs = keras.Input(shape)
    settings = {**SETTINGS, "sparsity": 0.8, "storage": "blocks"}
    model = keras.Model(inputs, kind(**settings)(inputs))
    x = np.ones((3, *shape), "float32")
    dsr_tf.export.saved_model(model, tmp_path / "small")
    model.export(tmp_path / "blocks", verbose=False)
    for folder in ("small", "blocks"):
        served = tf.saved_model.load(tmp_path / folder)
        (found,) = served.signatures["serving_default"](tf.constant(x)).values()
        np.testing.assert_allclose(found, values(model(x)), atol=1e-5)
    # What Keras exports has nothing of the whole size.
    assert max(int(np.prod(v.shape)) for v in served.variables) < 24 * 16


def test_weights_at_the_start_are_as_large_as_those_of_masks(make):
    build, _ = make
    ours, theirs = (
        values(build(storage=storage).layers[1]._kernel)
        for storage in ("blocks", "masked")
    )
    largest = [np.abs(array).max() for array in (ours, theirs)]
    assert largest[0] == pytest.approx(largest[1], rel=0.1)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (lambda **k: layers.SparseConv2D(8, (1, 3), **k), "its window is"),
        (lambda **k: layers.SparseConv2D(8, 1, groups=2, **k), "has groups of"),
        (
            lambda **k: layers.SparseConv1D(
                8, 1, data_format="channels_first", **k
            ),
            "its channels are not the last",
        ),
        (
            lambda **k: layers.SparseEinsumDense("ab,cb->ac", 8, **k),
            "ab,cb->ac is no product",
        ),
        (
            lambda **k: layers.SparseEinsumDense("abc,bcd->abd", (4, 8), **k),
            "is no product with a matrix",
        ),
        (
            lambda **k: layers.SparseEinsumDense("abc,ce->aeb", (8, 4), **k),
            "is no product with a matrix",
        ),
    ],
)
def test_what_is_no_product_with_a_matrix(layer, reason):
    with pytest.raises(ValueError, match=f"must be masked, for .*{reason}"):
        layer(storage="blocks", granularity="block:4")
    assert layer(granularity="block:4").storage == "masked"


def test_blocks_that_are_none_of_the_matrix():
    """Of the last two axes, which are both columns."""
    layer = layers.SparseEinsumDense(
        "abc,cde->abde",
        (None, 4, 16),
        granularity="block:2x8",
        storage="blocks",
    )
    with pytest.raises(ValueError, match="is for matrices in blocks"):
        layer.build((None, 5, 16))


def a_mixed_model():
    inputs = keras.Input((8, 8, 16))
    x = keras.layers.Conv2D(32, 3, name="wide")(inputs)
    x = keras.layers.Conv2D(32, 1, name="pointwise")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(16, name="out")(x))


def test_what_stays_masked_is_logged(caplog):
    with caplog.at_level("INFO", logger="absl"):
        model = dsr_tf.sparsify(
            a_mixed_model(), 0.5, granularity="block:16", storage="blocks"
        )
    stored = {x.name: x.storage for x in model.layers if hasattr(x, "storage")}
    assert stored == {"wide": "masked", "pointwise": "blocks", "out": "blocks"}
    assert (
        "stay masked, not 'blocks': wide/kernel (its window is larger"
        in caplog.text
    )
    wide = keras.Sequential(
        [keras.Input((8, 8, 16)), keras.layers.Conv2D(32, 3, name="wide")]
    )
    with pytest.raises(ValueError, match="wide/kernel .its window is larger"):
        dsr_tf.sparsify(wide, 0.5, granularity="block:16", storage="blocks")


def test_what_pays_is_chosen():
    """Not where there are few channels, or many active weights."""
    inputs = keras.Input((4, 4, 128))
    x = keras.layers.Conv2D(256, 1, name="narrow")(inputs)
    x = keras.layers.Conv2D(256, 1, name="wide")(x)
    x = keras.layers.Conv2D(256, 3, name="window")(x)
    x = keras.layers.Reshape((4, 256))(x)
    x = keras.layers.MultiHeadAttention(4, 64, name="attention")(x, x)
    dense = keras.Model(inputs, x)
    for sparsity, expected in ((0.9, {"wide", *PROJECTIONS}), (0.6, set())):
        model = dsr_tf.sparsify(
            dense, sparsity, granularity="block:32", storage="auto", seed=0
        )
        weights = masked_weights(model)
        assert len(weights) == 7
        stored = {w.layer.name for w in weights if w.variable.is_stored}
        assert stored == expected


PROJECTIONS = ("query", "key", "value", "attention_output")


@pytest.mark.slow
def test_mobilenet():
    """It learns with its convolutions of 1x1 in blocks, as they move."""
    keras.utils.set_random_seed(0)
    dense = mobilenet((32, 32, 3), 4, width=0.25)
    model = dsr_tf.sparsify(
        dense,
        0.7,
        filters="_conv$",
        granularity="block:8",
        storage="blocks",
        seed=0,
    )
    weights = masked_weights(model)
    assert len(weights) == 13
    assert {weight.layer.storage for weight in weights} == {"blocks"}
    model.compile(
        keras.optimizers.Adam(0.005),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    y = np.arange(64) % 4
    x = (
        np.random.default_rng(0).normal(size=(64, 32, 32, 3))
        + y[:, None, None, None]
    )
    budget = sum(weight.num_active for weight in weights)
    history = model.fit(
        x.astype("float32"),
        y,
        batch_size=16,
        epochs=6,
        verbose=0,
        callbacks=[
            dsr_tf.callbacks.DynamicSparseReparameterization(
                num_reallocated=0.1, initial_threshold=0.01, period=4, seed=0
            )
        ],
    ).history
    assert history["loss"][-1] < 0.7 * history["loss"][0]
    assert sum(history["num_reallocated"]) > 0
    now = sum(weight.num_active for weight in masked_weights(model))
    assert budget - 64 < now <= budget
