"""Shapes go by masks, and what is whole is cut off."""

import keras
import numpy as np
import pytest
from keras import layers

import dsr_tf
from dsr_tf import structure
from dsr_tf.layers import masked_weights
from dsr_tf.structure.methods.brain_damage import brain_damage
from dsr_tf.structure.removal.shapes import ShapesOf
from tests.conftest import values
from tests.structure import networks
from tests.structure.networks import assert_equal_outputs


def small():
    """Two channels of images of 4x4; windows of 3x3 and 1x1."""
    model = keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            layers.Conv2D(3, 3, padding="same", name="a"),
            layers.ReLU(),
            layers.Conv2D(2, 1, name="b"),
        ]
    )
    return networks.shake(model)


def test_the_smallest_shapes_by_hand():
    model = small()
    kernel = np.zeros((3, 3, 2, 3))
    kernel[1, 1] = 5
    kernel[0, 1, 0] = 2
    kernel[1, 0, 1, 2] = 1
    model.get_layer("a").kernel.assign(kernel)
    model.get_layer("b").kernel.assign(np.ones((1, 1, 3, 2)))
    # Of the first layer three shapes; but for four of 18, all are zeros.
    damaged = brain_damage(model, {"^a$": 3 / 18})
    conv = damaged.get_layer("a")
    # What is left of the window, and in it two channels at two positions.
    assert conv.kernel_size == (2, 1)
    (weight,) = masked_weights(damaged)
    assert values(weight.mask).reshape(2, 2).tolist() == [
        [True, False],
        [True, True],
    ]
    assert weight.granularity == "shape"
    # All but the position that went, for one of the channels.
    kernel[1, 0] = 0
    model.get_layer("a").kernel.assign(kernel)
    assert_equal_outputs(model, damaged, networks.inputs_of(model))
    cost = structure.active_cost(damaged)
    assert cost.parameters == 3 * 3 + 3 + 6 + 2
    assert cost.macs == 16 * (9 + 6)
    # What Keras computes.
    assert structure.cost(damaged).macs == 16 * (12 + 6)


def test_channels_without_any_shape_are_cut_off():
    model = small()
    model.get_layer("b").kernel.assign(
        np.array([[1.0, 1], [0.1, 0.1], [2, 2]]).reshape(1, 1, 3, 2)
    )
    damaged = brain_damage(model, {"^b$": 0.7})
    assert damaged.get_layer("a").filters == 2
    assert masked_weights(damaged) == []
    # The network reads one of its two channels.
    kernel = values(model.get_layer("a").kernel) * np.array([[1], [0.01]])
    model.get_layer("a").kernel.assign(kernel)
    damaged = brain_damage(model, {"^a$": 0.5})
    assert damaged.get_layer("a").kernel.shape == (3, 3, 1, 3)


@pytest.mark.parametrize("name", ["residual", "concatenated", "sequential"])
def test_the_cost_is_that_of_the_network(name):
    model = networks.shake(networks.NETWORKS[name]())
    generator = np.random.default_rng(0)
    shapes = ShapesOf(model)
    for share in (0.05, 0.3, 0.9):
        kept = {
            path: generator.random(own.shape) < share
            for path, own in shapes.norms.items()
        }
        for own in kept.values():
            own[0] = True
        damaged = shapes.without(kept)
        assert structure.active_cost(damaged) == shapes.cost(kept)
        for path, own in kept.items():
            kernel = np.array(values(model.get_layer(path).kernel))
            kernel.reshape(-1, kernel.shape[-1])[~own] = 0
            model.get_layer(path).kernel.assign(kernel)
        assert_equal_outputs(model, damaged, networks.inputs_of(model))
        model = networks.shake(networks.NETWORKS[name]())
        shapes = ShapesOf(model)


def test_a_budget_is_met():
    model = networks.shake(networks.residual())
    whole = structure.cost(model)
    damaged = brain_damage(model, parameters=whole.parameters // 3)
    left = structure.active_cost(damaged).parameters
    # The largest shape is of ten filters, and may take a channel along.
    assert whole.parameters // 3 - 40 < left <= whole.parameters // 3
    summary = dsr_tf.sparsity_summary(damaged)
    assert summary.num_active_parameters == left
    damaged = brain_damage(model, macs=whole.macs // 4, filters="conv")
    macs = structure.active_cost(damaged).macs
    assert 0.9 * whole.macs // 4 < macs <= whole.macs // 4
    paths = [weight.path for weight in masked_weights(damaged)]
    assert paths and all(path.startswith("conv") for path in paths)
    total = sum(len(own) for own in ShapesOf(model).norms.values())
    damaged = brain_damage(model, share=0.5)
    kept = sum(int(values(w.mask).sum()) for w in masked_weights(damaged))
    dense = {w.layer.name for w in masked_weights(damaged)}
    kept += sum(
        int(np.prod(x.kernel.shape[:-1]))
        for x in damaged.layers
        if hasattr(x, "kernel") and x.name not in dense
    )
    assert kept == total // 2


def test_masks_stay_while_it_trains(trained, tmp_path):
    whole = structure.cost(trained.model).parameters
    model = brain_damage(trained.model, parameters=whole // 3)
    before = [values(w.mask) for w in masked_weights(model)]
    model.compile(
        keras.optimizers.Adam(3e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(trained.x, trained.y, batch_size=64, epochs=2, verbose=0)
    assert trained.accuracy(model) > 0.9
    for weight, mask in zip(masked_weights(model), before, strict=True):
        np.testing.assert_array_equal(values(weight.mask), mask)
        rows = values(weight.kernel).any(axis=-1)
        assert not rows[~mask[..., 0]].any()
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert_equal_outputs(model, again, trained.test_x[:9], tolerance=0)


def test_nothing_to_damage():
    model = dsr_tf.sparsify(small(), 0.5, seed=0)
    with pytest.raises(ValueError, match="has no dense layer or convolution"):
        brain_damage(model, share=0.5)
    with pytest.raises(ValueError, match="Either `share`"):
        brain_damage(small())
