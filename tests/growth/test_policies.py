"""The policies of NeST, each by hand; those that need a gradient are in
`tests/callbacks/test_grow_and_prune.py`, which JAX runs too."""

import dataclasses

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import growth
from dsr_tf.conversion.batch import Batch
from dsr_tf.growth import bridges
from dsr_tf.growth import connections
from dsr_tf.growth import feature_maps
from dsr_tf.growth import measuring
from dsr_tf.growth import units
from dsr_tf.growth.draft import Draft
from dsr_tf.structure import Structure
from tests.conftest import assert_zero_outside_masks
from tests.conftest import values


def chain(*sizes, normalized=False):
    """Masked Dense layers a, b, ..., all of whose weights are active."""
    dense = keras.Sequential([keras.Input((sizes[0],))])
    for name, size in zip("abcd", sizes[1:]):
        dense.add(keras.layers.Dense(size, name=name))
        if normalized:
            dense.add(keras.layers.BatchNormalization(name=f"{name}_bn"))
    return dsr_tf.sparsify(dense, 0.0, seed=0)


def draft_of(model):
    return Draft(dsr_tf.masked_weights(model))


def set_mask(model, name, mask):
    model.get_layer(name).masked_variables["kernel"].set_mask(np.array(mask))


def test_policy_1_by_hand():
    mask = np.array([[True, False], [False, False], [True, False]])
    gradient = np.array([[9.0, -2.0], [0.0, 3.0], [9.0, 1.0]])
    # Three are dormant and have a gradient.
    for count, share, expected in (
        (None, 0.4, [(1, 1)]),
        (None, 0.6, [(0, 1), (1, 1)]),
        (3, 0.0, [(0, 1), (1, 1), (2, 1)]),
        (5, 0.0, [(0, 1), (1, 1), (2, 1)]),
        (0, 0.0, []),
    ):
        found = connections.largest_gradients(mask, gradient, count, share)
        assert [*zip(*np.nonzero(found))] == expected


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_what_connections_start_from(rate):
    model = chain(2, 2)
    set_mask(model, "a", [[1, 0], [0, 1]])
    draft = draft_of(model)
    before = draft.kernel(model.get_layer("a")._kernel).copy()
    gradient = np.array([[7.0, -2.0], [4.0, 7.0]])
    connections.wake_largest(draft, [gradient], None, 0.5, [rate])
    draft.write()
    after = values(model.get_layer("a")._kernel)
    assert values(model.get_layer("a").mask).tolist() == [[1, 0], [1, 1]]
    assert after[1, 0] == -4 * rate
    np.testing.assert_array_equal(np.diag(after), np.diag(before))


def test_policy_2_by_hand():
    """4 of 8 pairs, whose inputs and outputs meet in the unit."""
    bridge = np.array([[4.0, -1.0], [0.0, -9.0], [0.0, 0.1], [16.0, 0.2]])
    fan_in, fan_out = bridges.fans(bridge, 0.5, np.random.default_rng(0))
    # By the same draws, in the order of `grow.largest`.
    signs = np.random.default_rng(0).choice([-1, 1], 4)
    expected_in, expected_out = np.zeros(4), np.zeros(2)
    roots = {(0, 0): 2, (1, 1): 3, (3, 0): 4, (0, 1): 1}
    order = [(0, 0), (1, 1), (3, 0), (0, 1)]
    for (i, j), sign in zip(order, signs):
        expected_in[i] += sign * np.sign(bridge[i, j]) * roots[i, j]
        expected_out[j] += sign * roots[i, j]
    np.testing.assert_allclose(fan_in, expected_in)
    np.testing.assert_allclose(fan_out, expected_out)


def test_new_units_are_as_large_as_said():
    model = chain(4, 3, 2)
    set_mask(model, "a", np.arange(12).reshape(4, 3) % 3 != 1)
    set_mask(model, "b", [[1, 1], [0, 0], [1, 0]])
    (hidden,) = bridges.hidden_sets(Structure(model))
    draft = draft_of(model)
    assert units.dormant(draft, hidden.units).tolist() == [False, True, False]
    lower, upper = hidden.lower.variable, hidden.upper.variable
    sizes = draft.mean_magnitude(lower), draft.mean_magnitude(upper)
    bridge = np.array([[4.0, -1.0], [0.0, 0.0], [0.0, 0.1], [8.0, 0.2]])
    generator = np.random.default_rng(0)
    bridges.wake_units(
        draft, hidden, np.array([1]), bridge, 0.3, 0.5, generator
    )
    # Pairs (3, 0) and (0, 0): one output, two inputs.
    kernel = draft.kernel(lower)[:, 1]
    assert (kernel != 0).tolist() == [True, False, False, True]
    np.testing.assert_allclose(
        np.abs(kernel[[0, 3]]).mean(), 0.5 * sizes[0], rtol=1e-6
    )
    np.testing.assert_allclose(abs(kernel[3] / kernel[0]), 2**0.5, rtol=1e-6)
    kernel = draft.kernel(upper)[1]
    assert draft.mask(upper)[1].tolist() == [True, False]
    np.testing.assert_allclose(abs(kernel[0]), 0.5 * sizes[1], rtol=1e-6)


def test_policy_3_keeps_the_best():
    dense = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(4, 3, activation="relu", name="a"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, name="b"),
        ]
    )
    model = dsr_tf.sparsify(dense, 0.0, seed=0)
    growth.plant(model, 0.5, 0.5, seed=0)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(16, 6, 6, 1)).astype("float32")
    y = generator.normal(size=(16, 3)).astype("float32")
    batch, losses = Batch((x, y), model, "mse"), []

    def loss():
        losses.append(measuring.loss_on(model, batch))
        return losses[-1]

    draft = draft_of(model)
    (found,) = feature_maps.map_sets(Structure(model), draft)
    assert units.dormant(draft, found).tolist() == [False, False, True, True]
    feature_maps.wake_map(draft, found, 2, 0.5, 4, generator, loss)
    draft.write()
    assert len(set(losses)) == 4
    assert loss() == min(losses)
    mask = values(model.get_layer("a").mask)
    # All of its window, and wherever it is to be read.
    assert mask[..., 2].all() and not mask[..., 3].any()
    read = values(model.get_layer("b").mask).reshape(16, 4, 3)
    assert read[:, 2].all() and not read[:, 3].any()
    assert_zero_outside_masks(model)


def test_policy_4_by_hand():
    """Gamma over deviation is 2 and 0.5: the second column counts less."""
    model = chain(3, 2, normalized=True)
    norm = model.get_layer("a_bn")
    norm.gamma.assign([1.0, -1.0])
    norm.moving_variance.assign(np.array([0.25, 4.0]) - norm.epsilon)
    kernel = np.array([[0.1, -0.3], [0.5, 0.6], [0.0, 0.7]])
    set_mask(model, "a", kernel != 0)
    model.get_layer("a")._kernel.assign(kernel)
    (weight,) = dsr_tf.masked_weights(model)
    found = connections.normalization_of(Structure(model), weight)
    assert found is norm
    scale = connections.scale_of(found)
    np.testing.assert_allclose(scale, [2, -0.5], rtol=1e-6)
    # 0.2, 0.15; 1, 0.3; -, 0.35.
    for factors, count, expected in (
        (scale, 2, [(0, 0), (0, 1)]),
        (scale, 1, [(0, 1)]),
        (np.ones(1), 1, [(0, 0)]),
        (scale, 0, []),
    ):
        found = connections.smallest(draft_of(model), weight, count, factors)
        assert [*zip(*np.nonzero(found))] == expected
    plain = chain(3, 2)
    (weight,) = dsr_tf.masked_weights(plain)
    found = connections.normalization_of(Structure(plain), weight)
    assert connections.scale_of(found) == np.ones(1)


def test_units_without_fan_in_or_fan_out_go():
    model = chain(2, 3, 3, 1)
    # The second of a is read by nobody; the third of b feeds nobody, so that
    # what only it reads goes as well.
    set_mask(model, "a", [[1, 1, 0], [0, 1, 1]])
    set_mask(model, "b", [[1, 0, 0], [0, 0, 0], [0, 0, 1]])
    set_mask(model, "c", [[1], [1], [0]])
    draft = draft_of(model)
    units.remove_useless(draft, Structure(model).sets)
    draft.write()
    masks = [values(w.mask).astype(int) for w in dsr_tf.masked_weights(model)]
    assert masks[0].tolist() == [[1, 0, 0], [0, 0, 0]]
    assert masks[1].tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert masks[2].tolist() == [[1], [0], [0]]


def test_the_last_weights_of_a_kernel_stay():
    model = chain(2, 2, 1)
    set_mask(model, "a", [[1, 0], [1, 0]])
    set_mask(model, "b", [[0], [1]])
    draft = draft_of(model)
    units.remove_useless(draft, Structure(model).sets)
    assert all(draft.num_active(w.kernel) for w in draft.weights)


def test_a_seed():
    model = chain(10, 20, 10, 4)
    growth.plant(model, 0.25, 0.4, seed=3)
    first, second, third = (
        values(w.mask) for w in dsr_tf.masked_weights(model)
    )
    # 8 and 4 units are awake: 80, 32 and 16 connections are possible.
    assert (first.sum(), second.sum(), third.sum()) == (20, 8, 4)
    assert not first[:, 8:].any() and not second[8:].any()
    assert not second[:, 4:].any() and not third[4:].any()
    assert_zero_outside_masks(model)
    again, other = chain(10, 20, 10, 4), chain(10, 20, 10, 4)
    growth.plant(again, 0.25, 0.4, seed=3)
    growth.plant(other, 0.25, 0.4, seed=4)
    for model, is_same in ((again, True), (other, False)):
        mask = values(dsr_tf.masked_weights(model)[0].mask)
        assert np.array_equal(mask, first) == is_same


@pytest.mark.parametrize(
    "arguments", [{"density": 0}, {"density": 1.5}, {"width": "x"}]
)
def test_bad_seeds(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"`{name}` must be .*Received"):
        growth.plant(chain(2, 2), **arguments)


@pytest.mark.parametrize(
    "name, value",
    [
        ("frequency", 0),
        ("grow_steps", -1),
        ("grow_share", 1),
        ("initial_value", "one"),
        ("neurons", 1.5),
        ("neuron_pairs", 0),
        ("birth_strength", 0),
        ("feature_maps", True),
        ("candidates", 0),
        ("prune_share", 1.0),
        ("target", "high"),
        ("patience", -1),
        ("budget", 0),
        ("end", 0),
    ],
)
def test_bad_hyperparameters(name, value):
    pattern = f"`{name}` must be .*Received: {name}={value!r}"
    with pytest.raises(ValueError, match=pattern):
        growth.GrowthHyperparameters(**{name: value})


def test_every_hyperparameter_is_tried():
    fields = dataclasses.fields(growth.GrowthHyperparameters)
    (mark,) = test_bad_hyperparameters.pytestmark
    assert {f.name for f in fields} == {name for name, _ in mark.args[1]}
