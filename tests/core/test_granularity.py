import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dsr_tf
from dsr_tf import layers
from dsr_tf.core import granularity
from dsr_tf.core.grouping import Grouping
from dsr_tf.core.kernel_axes import KernelAxes
from dsr_tf.reallocation.reallocator import Reallocator
from tests.conftest import assert_zero_outside_masks
from tests.conftest import values


@pytest.mark.parametrize(
    "name, shape, mask_shape, group_size",
    [
        ("element", (3, 3, 4, 8), (3, 3, 4, 8), 1),
        ("kernel", (3, 3, 4, 8), (1, 1, 4, 8), 9),
        ("kernel", (4, 8), (4, 8), 1),
        ("kernel", (5, 4, 8), (1, 4, 8), 5),
        ("channel", (3, 3, 4, 8), (1, 1, 1, 8), 36),
        ("channel", (4, 8), (1, 8), 4),
        ("shape", (3, 3, 4, 8), (3, 3, 4, 1), 8),
        ("shape", (4, 8), (4, 1), 8),
        ("shape", (5, 3, 3, 4, 8), (5, 3, 3, 4, 1), 8),
        ("input", (3, 3, 4, 8), (1, 1, 4, 1), 72),
        ("input", (4, 8), (4, 1), 8),
        ("input", (5, 4, 8), (1, 4, 1), 40),
        ("layer", (3, 3, 4, 8), (1, 1, 1, 1), 288),
        ("layer", (4, 8), (1, 1), 32),
        ("block:2x4", (6, 8), (3, 2), 8),
        ("block:2x4", (3, 3, 6, 8), (3, 3, 3, 2), 8),
    ],
)
def test_shapes(name, shape, mask_shape, group_size):
    grouping = granularity.get(name).grouping(shape)
    assert grouping.mask_shape == mask_shape
    assert grouping.group_size == group_size
    assert grouping.num_groups * group_size == np.prod(shape)


def test_blocks_by_hand():
    grouping = granularity.get("block:2x2").grouping((4, 4))
    kernel = np.arange(16).reshape(4, 4)
    assert grouping.groups(kernel).tolist() == [
        [0, 1, 4, 5],
        [2, 3, 6, 7],
        [8, 9, 12, 13],
        [10, 11, 14, 15],
    ]
    mask = keras.ops.convert_to_tensor(np.array([[1, 0], [0, 1]], "bool"))
    assert values(grouping.spread(mask)).astype(int).tolist() == [
        [1, 1, 0, 0],
        [1, 1, 0, 0],
        [0, 0, 1, 1],
        [0, 0, 1, 1],
    ]


@pytest.mark.parametrize(
    "layer, shapes",
    [
        (
            layers.SparseConv2D(8, 3),
            {
                "channel": (1, 1, 1, 8),
                "input": (1, 1, 4, 1),
                "shape": (3, 3, 4, 1),
            },
        ),
        (
            layers.SparseConv2DTranspose(8, 3),
            {
                "channel": (1, 1, 8, 1),
                "input": (1, 1, 1, 4),
                "shape": (3, 3, 1, 4),
            },
        ),
        (
            layers.SparseDepthwiseConv2D(3, depth_multiplier=2),
            {
                "channel": (1, 1, 4, 2),
                "input": (1, 1, 4, 1),
                "shape": (3, 3, 4, 1),
            },
        ),
        (
            layers.SparseEmbedding(9, 5),
            {"channel": (1, 5), "input": (9, 1), "shape": (9, 1)},
        ),
        (
            # The query of attention: heads of 2, from 4 channels.
            layers.SparseEinsumDense("abxc,chd->abxhd", (None, 9, 3, 2)),
            {"input": (4, 1, 1), "shape": (4, 1, 1)},
        ),
        (
            # Its output, which sums over heads of 9.
            layers.SparseEinsumDense("abhd,hdc->abc", (None, 5)),
            {"channel": (1, 1, 5), "input": (9, 4, 1), "shape": (9, 4, 1)},
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_groups_of_every_layer_are_of_its_inputs_and_outputs(layer, shapes):
    for name, shape in {**shapes, "layer": None}.items():
        config = {**layer.get_config(), "granularity": name}
        cut = type(layer).from_config(config)
        cut.build((None, 9, 9, 4))
        shape = shape or (1,) * len(cut.mask.shape)
        assert tuple(cut.mask.shape) == shape, name


def test_weights_without_inputs_do_not_fit():
    axes = KernelAxes.of(1)
    for name in ("shape", "input"):
        with pytest.raises(granularity.DoesNotFit, match="without inputs"):
            granularity.get(name).grouping((5,), axes)
    assert granularity.get("channel").grouping((5,), axes).num_groups == 5
    assert granularity.get("layer").grouping((5,), axes).num_groups == 1


sizes = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4))


@given(sizes, sizes, st.integers(0, 2**31))
def test_groups_agree_with_the_spread_mask(mask_shape, block_shape, seed):
    shape = tuple(m * b for m, b in zip(mask_shape, block_shape))
    grouping = Grouping(shape, block_shape)
    generator = np.random.default_rng(seed)
    kernel = generator.normal(size=shape).astype("float32")
    groups = grouping.groups(kernel)
    np.testing.assert_array_equal(grouping.ungroup(groups), kernel)
    np.testing.assert_allclose(
        values(grouping.scores_of(kernel)),
        np.abs(groups).mean(axis=1),
        rtol=1e-6,
    )
    mask = generator.random(mask_shape) < 0.5
    spread = values(grouping.spread(keras.ops.convert_to_tensor(mask)))
    np.testing.assert_array_equal(
        grouping.groups(np.broadcast_to(spread, shape) * kernel),
        groups * mask.reshape(-1, 1),
    )


# The others are axes that share a mask too, like those of a channel.
@pytest.mark.parametrize(
    "name",
    ["element", "channel", "block:2x2"]
    + [
        pytest.param(name, marks=pytest.mark.slow)
        for name in ("kernel", "shape", "input")
    ],
)
def test_training_files_and_export(name, tmp_path):
    inputs = keras.Input((8, 8, 4))
    x = keras.layers.Conv2D(8, 3, activation="relu")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(4)(x))
    sparse = dsr_tf.sparsify(model, 0.5, granularity=name, seed=0)
    sparse.compile("adam", "mse")
    weights = dsr_tf.masked_weights(sparse)
    budget = sum(w.num_active for w in weights)
    assert abs(budget - 160) < max(w.group_size for w in weights)
    images = np.random.default_rng(0).normal(size=(8, 8, 8, 4))
    records = []
    callback = dsr_tf.callbacks.DynamicSparseReparameterization(
        60, period=1, initial_threshold=0.1, seed=0, listener=records.append
    )
    sparse.fit(images, np.ones((8, 4)), 2, 4, verbose=0, callbacks=[callback])
    assert len(records) == 15 and sum(r.num_grown for r in records) > 0
    assert {r.num_active + r.carry for r in records} == {budget}
    sparse.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(
        sparse.predict(images, verbose=0), loaded.predict(images, verbose=0)
    )
    np.testing.assert_array_equal(
        sparse.predict(images, verbose=0),
        dsr_tf.strip(sparse).predict(images, verbose=0),
    )
    if name == "element":
        assert_zero_outside_masks(sparse)


def test_the_budget_of_weights_with_groups_of_1_and_9():
    """A net of 1x1 and 3x3 kernels, a hundred reallocations."""
    inputs = keras.Input((6, 6, 8))
    x = inputs
    for window in (1, 3, 1, 3):
        x = keras.layers.Conv2D(12, window, padding="same")(x)
    model = dsr_tf.sparsify(
        keras.Model(inputs, x), 0.8, granularity="kernel", seed=0
    )
    weights = dsr_tf.masked_weights(model)
    assert [w.group_size for w in weights] == [1, 9, 1, 9]
    budget = sum(w.num_active for w in weights)
    total = sum(w.size for w in weights)
    assert budget == round(0.2 * total)
    generator = np.random.default_rng(0)
    reallocator = Reallocator(model, dsr_tf.methods.DSR(100))
    optimizer = keras.optimizers.SGD()
    moved = 0
    for step in range(100):
        for w in weights:
            noise = 1e-2 * generator.normal(size=w.kernel.shape)
            mask = values(w.mask).astype("float32")
            w.kernel.assign(values(w.kernel) + noise * mask)
        record = reallocator.step(optimizer, step)
        moved += record.num_grown
        assert record.num_active + record.carry == budget
        assert 0 <= record.carry < 9
        assert record.num_active == sum(w.num_active for w in weights)
        for w in weights:
            groups = w.grouping.groups(values(w.kernel))
            assert not groups[~values(w.mask).reshape(-1)].any()
    assert moved > 5000


def test_blocks_that_do_not_divide():
    with pytest.raises(ValueError, match=r"block:3x3.*shape \(4, 8\)"):
        granularity.get("block:3x3").grouping((4, 8))
    model = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(9), keras.layers.Dense(4)]
    )
    sparse = dsr_tf.sparsify(model, 0.5, granularity="block:3x3")
    assert len(dsr_tf.masked_weights(sparse)) == 1
    (reason,) = sparse.skipped_layers.values()
    assert reason == "blocks of block:3x3 do not divide its kernel"


@pytest.mark.parametrize("name", ["row", "block", "block:0x2", "block:0", 3])
def test_unknown_granularities(name):
    with pytest.raises(ValueError, match="`granularity` must be one of"):
        granularity.get(name)
