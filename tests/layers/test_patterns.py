"""Layers whose kernels have N of every M weights active."""

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import layers
from dsr_tf.conversion.copying import copy_masks
from tests.conftest import assert_zero_outside_masks
from tests.conftest import values

# A layer, the shape of its inputs, that of its kernel, the axis of inputs.
KINDS = {
    "dense": (lambda **k: layers.SparseDense(3, **k), (2, 8), (8, 3), 0),
    "conv2d": (
        lambda **k: layers.SparseConv2D(6, 3, groups=2, **k),
        (1, 4, 4, 8),
        (3, 3, 4, 6),
        2,
    ),
    "transpose": (
        lambda **k: layers.SparseConv2DTranspose(3, 2, **k),
        (1, 4, 4, 8),
        (2, 2, 3, 8),
        3,
    ),
    "heads": (
        lambda **k: layers.SparseEinsumDense("abc,cde->abde", (5, 3, 2), **k),
        (1, 5, 4),
        (4, 3, 2),
        0,
    ),
    "out of heads": (
        lambda **k: layers.SparseEinsumDense("abde,dec->abc", (5, 3), **k),
        (1, 5, 2, 4),
        (2, 4, 3),
        1,
    ),
    "embedding": (
        lambda **k: layers.SparseEmbedding(5, 8, **k),
        None,
        (5, 8),
        1,
    ),
}


def built(make, shape, **arguments):
    layer = make(**arguments)
    if shape is None:
        layer(np.zeros((1, 2), "int32"))
    else:
        layer(np.ones(shape, "float32"))
    return layer


def counts(mask, axis, size):
    """Active weights of each bundle, along an axis."""
    last = np.moveaxis(values(mask), axis, -1)
    return set(last.reshape(-1, size).sum(axis=1).tolist())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_axis(kind):
    make, inputs, shape, axis = KINDS[kind]
    layer = built(make, inputs, sparsity=0.5, granularity="2:4", seed=3)
    assert tuple(layer.mask.shape) == shape
    assert counts(layer.mask, axis, 4) == {2}
    assert layer.sparsity == 0.5
    (weight,) = dsr_tf.masked_weights(layer)
    kernel, mask = values(weight.kernel), values(weight.mask)
    assert kernel[mask].all() and not kernel[~mask].any()
    again = built(make, inputs, sparsity=0.5, granularity="2:4", seed=3)
    np.testing.assert_array_equal(values(again.mask), mask)


def test_all_weights_active_to_prune_from():
    layer = built(*KINDS["dense"][:2], sparsity=0.0, granularity="2:4")
    assert values(layer.mask).all()


REFUSED = {
    "the default sparsity": (
        lambda: layers.SparseDense(3, granularity="2:4"),
        "`sparsity` must be 0.5 with granularity '2:4'.*sparsity=0.9",
    ),
    "inputs that M does not divide": (
        lambda: built(
            KINDS["dense"][0], (2, 6), sparsity=0.5, granularity="2:4"
        ),
        "inputs that 4 divides",
    ),
    "depthwise": (
        lambda: layers.SparseDepthwiseConv2D(
            3, sparsity=0.5, granularity="2:4"
        ).build((None, 8, 8, 4)),
        "sums over an axis of inputs",
    ),
    "separable": (
        lambda: layers.SparseSeparableConv2D(
            8, 3, sparsity=0.5, granularity="2:4"
        ).build((None, 8, 8, 4)),
        "sums over an axis of inputs",
    ),
    "einsum without a sum": (
        lambda: layers.SparseEinsumDense(
            "abc,bc->abc", (4, 4), sparsity=0.5, granularity="2:4"
        ).build((None, 4, 4)),
        "sums over an axis of inputs",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    make, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        make()


@pytest.fixture
def dense():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(8, 3, name="stem")(inputs)
    x = keras.layers.Conv2D(8, 3, name="conv")(x)
    x = keras.layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(4, name="fc")(x))


@pytest.mark.parametrize("name", ["2:4", "1:8", "5:8"])
@pytest.mark.parametrize("mask", ["random", "magnitude"])
def test_sparsify(dense, name, mask):
    num_active, size = (int(n) for n in name.split(":"))
    sparsity = 1 - num_active / size
    model = dsr_tf.sparsify(
        dense, sparsity, granularity=name, mask=mask, seed=0
    )
    assert model.skipped_layers == {
        "stem": f"{size} of {name} does not divide its 3 inputs",
        "depthwise": f"its kernel has no axis of inputs for {name}",
    }
    assert_zero_outside_masks(model)
    for weight in dsr_tf.masked_weights(model):
        assert counts(weight.mask, -2, size) == {num_active}
        kernel = values(dense.get_layer(weight.layer.name).kernel)
        active = values(weight.mask)
        np.testing.assert_array_equal(
            values(weight.kernel)[active], kernel[active]
        )
        if mask == "magnitude":
            rows = weight.grouping.pattern.bundles
            kept = np.where(rows(active), np.abs(rows(kernel)), np.inf)
            left = np.where(rows(active), 0, np.abs(rows(kernel)))
            assert (kept.min(axis=1) >= left.max(axis=1)).all()


def test_sparsify_to_prune_from(dense):
    model = dsr_tf.sparsify(dense, 0.0, granularity="2:4")
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    np.testing.assert_array_equal(values(model(x)), values(dense(x)))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"sparsity": 0.9}, "`sparsity` must be 0.5.*'2:4'"),
        ({"distribution": "erk"}, "`distribution` must be uniform.*'2:4'"),
        ({"distribution": {"fc": 0.5}}, "`distribution` must be uniform"),
        ({"filters": "stem"}, "no layer to mask; stem: 4 of 2:4 does not"),
    ],
)
def test_sparsify_refuses(dense, arguments, message):
    arguments = {"sparsity": 0.5, "granularity": "2:4", **arguments}
    with pytest.raises(ValueError, match=message):
        dsr_tf.sparsify(dense, **arguments)


def test_masks_that_break_the_pattern_are_refused(dense):
    model = dsr_tf.sparsify(dense, 0.5, granularity="2:4")
    (weight, _) = dsr_tf.masked_weights(model)
    before = values(weight.mask)
    with pytest.raises(ValueError, match="2 of every 4 weights active"):
        weight.set_mask(~before & np.roll(before, 1, axis=-2))
    np.testing.assert_array_equal(values(weight.mask), before)
    weight.set_mask(~before)
    other = dsr_tf.sparsify(dense, 0.5, filters=["conv", "fc"])
    with pytest.raises(ValueError, match="of 2:4"):
        copy_masks(other, model)


def test_files(dense, tmp_path):
    """Saved and loaded to the bit; a file of other masks is refused."""
    model = dsr_tf.sparsify(dense, 0.5, granularity="2:4", seed=1)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    for a, b in zip(model.variables, loaded.variables):
        np.testing.assert_array_equal(values(a), values(b))
    (first, _) = dsr_tf.masked_weights(loaded)
    assert first.granularity == "2:4"
    x = np.ones((1, 8, 8, 3), "float32")
    stripped = dsr_tf.strip(loaded)
    np.testing.assert_array_equal(values(stripped(x)), values(model(x)))
    other = dsr_tf.sparsify(dense, 0.5, filters=["conv", "fc"], seed=1)
    other.save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(ValueError, match="2 of every 4 weights active"):
        loaded.load_weights(tmp_path / "other.weights.h5")


def test_a_model_on_its_way_is_saved(dense, tmp_path):
    """With 3 of 4, which the constructor would not take."""
    model = dsr_tf.sparsify(dense, 0.0, granularity="2:4")
    for weight in dsr_tf.masked_weights(model):
        pattern = weight.grouping.pattern
        three = np.arange(weight.size).reshape(-1, 4) % 4 != 1
        weight.set_mask(pattern.unbundle(three))
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert loaded.get_layer("fc").sparsity == 0.25
    for a, b in zip(model.variables, loaded.variables):
        np.testing.assert_array_equal(values(a), values(b))
