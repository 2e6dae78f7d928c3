"""Branches, zeros, constants: what may go without a trace."""

import keras
import numpy as np
import pytest
from keras import layers

import dsr_tf
from dsr_tf import structure
from tests.conftest import by_hand_on_jax
from tests.structure import networks
from tests.structure.networks import assert_equal_outputs


def test_branches():
    found = structure.branches(networks.residual())
    names = [[x.name for x in branch.layers] for branch in found]
    assert [names[0][0], names[0][-1]] == ["bn0a", "conv0b"]
    # The convolution of the shortcut is not of the branch.
    assert [names[1][0], names[1][-1]] == ["conv1a", "conv1b"]


def test_drop_branches():
    model = networks.shake(networks.residual())
    first, second = structure.branches(model)
    model.get_layer("conv1b").kernel.assign(np.zeros((3, 3, 5, 10)))
    copy = structure.drop_branches(model, [second.name])
    assert "conv1a" not in [x.name for x in copy.layers]
    assert "shortcut1" in [x.name for x in copy.layers]
    assert_equal_outputs(model, copy, networks.inputs_of(model), tolerance=0)
    both = structure.drop_branches(model, [first.name, second.name])
    assert structure.branches(both) == []


def test_drop_branches_of_operations():
    inputs = keras.Input((4,))
    dense = layers.Dense(4, name="branch")
    model = keras.Model(inputs, inputs + dense(inputs))
    (branch,) = structure.branches(model)
    copy = structure.drop_branches(model, [branch.name])
    assert copy.count_params() == 0
    with pytest.raises(ValueError, match=r"among .*names=\['nothing'\]"):
        structure.drop_branches(model, ["nothing"])


def test_a_sum_of_two_inputs_has_no_branch():
    inputs = [keras.Input((4,)), keras.Input((4,))]
    x = layers.Add()([layers.Dense(4)(inputs[0]), inputs[1]])
    assert structure.branches(keras.Model(inputs, x)) == []


def test_zero_units():
    model = networks.shake(networks.residual())
    kernel = np.array(model.get_layer("conv0b").kernel)
    kernel[:, :, [0, 3]] = 0
    model.get_layer("conv0b").kernel.assign(kernel)
    keep = structure.zero_units(model)
    assert {name: x.tolist() for name, x in keep.items()} == {
        "conv0a": [False, True, True, False, True]
    }
    assert_equal_outputs(
        model, structure.narrow(model, keep), networks.inputs_of(model)
    )


def test_a_set_of_zeros_keeps_a_unit():
    model = networks.shake(networks.sequential())
    model.get_layer("dense2").kernel.assign(np.zeros((9, 3)))
    keep = structure.zero_units(model)
    assert keep["dense1"].sum() == 1
    assert_equal_outputs(
        model, structure.narrow(model, keep), networks.inputs_of(model)
    )


def empty(model, name, units):
    """Zero what a layer makes of some units."""
    layer = model.get_layer(name)
    kernel = np.array(layer.kernel)
    kernel[..., units] = 0
    layer.kernel.assign(kernel)


def padded(padding):
    inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(6, 3, use_bias=False, name="a")(inputs)
    x = layers.BatchNormalization(name="bn1")(x)
    x = layers.Activation("sigmoid")(x)
    x = layers.Conv2D(5, 3, padding=padding, use_bias=False, name="b")(x)
    x = layers.BatchNormalization(name="bn2")(x)
    x = layers.Conv2D(4, 1, name="c")(layers.ReLU()(x))
    x = layers.Dense(3, name="d")(layers.Flatten()(x))
    return keras.Model(inputs, x)


@by_hand_on_jax
def test_constants_are_folded():
    model = networks.shake(padded("valid"))
    # Each into what reads it: a mean, a bias, a bias behind Flatten.
    empty(model, "a", [1, 2])
    empty(model, "b", [4])
    empty(model, "c", [0])
    assert structure.zero_units(model) == {}
    folded = structure.fold_constants(model)
    keep = structure.zero_units(folded)
    assert {name: np.flatnonzero(~x).tolist() for name, x in keep.items()} == {
        "a": [1, 2],
        "b": [4],
        "c": [0],
    }
    narrowed = structure.narrow(folded, keep)
    inputs = networks.inputs_of(model)
    assert_equal_outputs(model, narrowed, inputs, tolerance=2e-6)


def test_constants_that_no_layer_can_hold_stay(caplog):
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 1, name="a")(inputs)
    x = layers.Conv2D(3, 1, use_bias=False, name="b")(x)
    model = networks.shake(keras.Model(inputs, layers.ReLU()(x)))
    empty(model, "a", [1])
    assert structure.zero_units(structure.fold_constants(model)) == {}
    assert "1 constant units of 'a' stay" in caplog.text
    # Without the bias it is 0, which nobody has to hold.
    model.get_layer("a").bias.assign(np.zeros(4))
    keep = structure.zero_units(structure.fold_constants(model))
    assert keep["a"].tolist() == [True, False, True, True]


def test_a_unit_that_is_not_constant_stays():
    """A gamma of 0, and a shortcut that reads what comes before it."""
    model = networks.shake(networks.residual())
    gamma = np.array(model.get_layer("bn0a").gamma)
    gamma[2] = 0
    model.get_layer("bn0a").gamma.assign(gamma)
    assert structure.zero_units(structure.fold_constants(model)) == {}


def test_a_border_that_pads():
    model = networks.shake(padded("same"))
    empty(model, "a", [1, 2])
    folded = structure.fold_constants(model)
    inputs = networks.inputs_of(model)
    middle = keras.Model(folded.inputs, folded.get_layer("bn2").output)
    before = keras.Model(model.inputs, model.get_layer("bn2").output)
    ours, theirs = (np.array(m(inputs)) for m in (middle, before))
    np.testing.assert_allclose(
        ours[:, 1:-1, 1:-1], theirs[:, 1:-1, 1:-1], atol=1e-5
    )
    assert np.abs(ours - theirs).max() > 1e-3


def test_inputs_of_any_shape_need_data():
    inputs = keras.Input((None, None, 2))
    x = layers.Conv2D(4, 1, name="a")(inputs)
    x = layers.Conv2D(3, 1, name="b")(x)
    model = networks.shake(keras.Model(inputs, x))
    empty(model, "a", [0])
    with pytest.raises(ValueError, match="`data` must be given"):
        structure.fold_constants(model)
    data = np.random.default_rng(0).normal(size=(2, 4, 4, 2)).astype("float32")
    folded = structure.fold_constants(model, data)
    assert list(structure.zero_units(folded)) == ["a"]


def test_masks_of_channels_end_in_a_smaller_model():
    model = dsr_tf.sparsify(
        networks.sequential(), 0.5, granularity="channel", seed=0
    )
    networks.shake(model)
    folded = structure.fold_constants(model)
    narrowed = structure.narrow(folded, structure.zero_units(folded))
    active = {w.path: int(np.sum(w.mask)) for w in dsr_tf.masked_weights(model)}
    assert narrowed.get_layer("conv1").filters == active["conv1/kernel"] < 6
    assert narrowed.get_layer("conv2").filters == active["conv2/kernel"] < 7
    assert narrowed.get_layer("dense1").units == active["dense1/kernel"] < 9
    assert_equal_outputs(
        model, narrowed, networks.inputs_of(model), tolerance=2e-6
    )


@by_hand_on_jax
def test_recalibrate():
    model = networks.residual()
    data = np.random.default_rng(0).normal(3, 2, (8, 8, 8, 3)).astype("float32")
    structure.recalibrate(model, data, batch_size=4)
    stem = keras.Model(model.inputs, model.get_layer("stem").output)
    batches = [np.array(stem(data[i : i + 4])) for i in (0, 4)]
    expected = np.mean([b.mean(axis=(0, 1, 2)) for b in batches], axis=0)
    np.testing.assert_allclose(
        np.array(model.get_layer("bn0a").moving_mean), expected, rtol=1e-4
    )
    expected = np.mean([b.var(axis=(0, 1, 2)) for b in batches], axis=0)
    np.testing.assert_allclose(
        np.array(model.get_layer("bn0a").moving_variance), expected, rtol=1e-4
    )
    assert model.get_layer("bn0a").momentum == 0.99
    with pytest.raises(ValueError, match="no batch normalization"):
        structure.recalibrate(networks.transformer(), data)


def test_frozen_layers_are_recalibrated():
    model = networks.residual()
    model.get_layer("bn0a").trainable = False
    data = np.ones((4, 8, 8, 3), "float32")
    structure.recalibrate(model, data)
    layer = model.get_layer("bn0a")
    assert np.array(layer.moving_mean).any()
    assert not layer.trainable and not layer.trainable_variables


@pytest.mark.parametrize("times", [1, 2])
def test_layers_without_a_bias_that_others_call(times):
    """They are called several times, or inside of another layer."""
    inputs = keras.Input((3, 4))
    x = layers.Dense(6, name="a")(inputs)
    reader = layers.Dense(6, use_bias=False, name="reader")
    x = layers.TimeDistributed(reader)(x) if times == 1 else reader(reader(x))
    model = networks.shake(keras.Model(inputs, layers.Dense(2)(x)))
    empty(model, "a", [1])
    reader.kernel.assign(np.array(reader.kernel) * (np.arange(6) != 1))
    folded = structure.fold_constants(model)
    assert_equal_outputs(model, folded, networks.inputs_of(model))


def test_branches_that_are_models():
    inputs = keras.Input((4,))
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, name="a")], name="inner"
    )
    x = layers.Add(name="sum")([inputs, inner(layers.ReLU()(inputs))])
    model = keras.Model(inputs, x)
    (branch,) = structure.branches(model)
    assert [type(x).__name__ for x in branch.layers] == ["ReLU", "Sequential"]
    assert structure.drop_branches(model, ["sum"]).count_params() == 0


def test_branches_of_what_is_called_several_times():
    inner_inputs = keras.Input((4,))
    inner = keras.Model(
        inner_inputs,
        layers.Add(name="inner_sum")(
            [inner_inputs, layers.Dense(4, name="a")(inner_inputs)]
        ),
    )
    total = layers.Add(name="sum")
    inputs = keras.Input((4,))
    x = inner(inner(inputs))
    # One layer for two sums: dropping one would drop the other.
    for _ in range(2):
        x = total([x, layers.Dense(4)(x)])
    (branch,) = structure.branches(keras.Model(inputs, x))
    assert [layer.name for layer in branch.layers] == ["a"]


def test_a_mean_that_others_are_normalized_by_holds_no_constants(caplog):
    """The normalization is called for two layers."""
    inputs = keras.Input((6, 6, 2))
    normalization = layers.BatchNormalization(name="shared")
    x = layers.Conv2D(4, 1, name="a")(inputs)
    x = normalization(layers.Conv2D(3, 1, use_bias=False, name="b")(x))
    y = normalization(layers.Conv2D(3, 1, use_bias=False, name="c")(inputs))
    model = networks.shake(keras.Model(inputs, [x, y]))
    empty(model, "a", [1])
    folded = structure.fold_constants(model)
    assert_equal_outputs(model, folded, networks.inputs_of(model))
    assert "constant units of 'a' stay" in caplog.text
