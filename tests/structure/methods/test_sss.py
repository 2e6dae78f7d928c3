"""Branches and channels whose scales are 0 go, and outputs stay."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from keras import layers

import dsr_tf
from dsr_tf import structure
from dsr_tf.data.loading import load
from dsr_tf.layers import Scale
from dsr_tf.models import resnet50
from dsr_tf.models import wrn_28_2
from dsr_tf.structure.methods.sss import sss
from tests.structure.networks import assert_equal_outputs
from tests.structure.networks import inputs_of
from tests.structure.networks import shake


def blocks(sizes=(3, 5, 4, 6)):
    """Branches of so many hidden units; the third changes the width."""
    inputs = keras.Input((4,))
    x = inputs
    for number, size in enumerate(sizes):
        width = 4 if number < 2 else 6
        y = layers.Dense(size, "relu", name=f"in{number}")(x)
        y = layers.Dense(width, name=f"out{number}")(y)
        if x.shape[-1] != width:
            x = layers.Dense(width, name="shortcut")(x)
        x = layers.Add(name=f"add{number}")([x, y])
    return shake(keras.Model(inputs, layers.Dense(2, name="logits")(x)))


# Parameters of each branch, and of the rest.
COSTS = [4 * 3 + 3 + 16, 4 * 5 + 5 + 24, 4 * 4 + 4 + 30, 6 * 6 + 6 + 42]
REST = 30 + 14


def with_scales(model, values, where="branches"):
    scaled = structure.insert_scales(model, where)
    found = [x for x in scaled.layers if isinstance(x, Scale)]
    for layer, value in zip(found, values, strict=True):
        layer.scale.assign(np.reshape(np.float32(value), layer.scale.shape))
    return scaled


def adds_of(model):
    return [x.name for x in model.layers if isinstance(x, layers.Add)]


def test_zeros_go_and_outputs_stay():
    scaled = with_scales(blocks(), [0, 0.5, 0, 1e-4])
    smaller = sss(scaled)
    assert adds_of(smaller) == ["add1", "add3"]
    assert_equal_outputs(scaled, smaller, inputs_of(scaled))
    assert structure.cost(smaller).parameters == REST + COSTS[1] + COSTS[3]
    assert not any(isinstance(x, Scale) for x in smaller.layers)
    assert smaller.get_layer("shortcut")


def test_all_may_go():
    scaled = with_scales(blocks(), [0, 0, 0, 0])
    smaller = sss(scaled)
    assert_equal_outputs(scaled, smaller, inputs_of(scaled))
    assert structure.cost(smaller).parameters == REST


@pytest.mark.parametrize(
    "amount, stay",
    [
        ({"share": 0.5}, [0, 3]),
        ({"share": 0.3}, [3]),
        # The second is 0, and goes whatever is allowed.
        ({"share": 1.0}, [0, 2, 3]),
        ({"parameters": 10**6}, [0, 2, 3]),
        ({"parameters": REST + COSTS[0] + COSTS[3]}, [0, 3]),
        ({"parameters": REST + COSTS[0] + COSTS[3] - 1}, [3]),
        ({"macs": 24 + 12 + 24 + 72}, [0, 3]),
        ({"macs": 24 + 12 + 24 + 71}, [3]),
    ],
    ids=str,
)
def test_a_budget_by_hand(amount, stay):
    smaller = sss(with_scales(blocks(), [0.5, 0, 0.3, 0.7]), **amount)
    assert adds_of(smaller) == [f"add{number}" for number in stay]


@settings(max_examples=5, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=4, max_size=4), st.integers(0, 999))
def test_no_network_is_above_the_budget(values, extra):
    budget = REST + max(COSTS) + extra % sum(COSTS)
    scaled = with_scales(blocks(), values)
    smaller = sss(scaled, parameters=budget)
    parameters = structure.cost(smaller).parameters
    assert parameters <= budget
    left = {int(name[3:]) for name in adds_of(smaller)}
    gone = [n for n in range(4) if n not in left and values[n]]
    # In the order of scales; the next one would be too much.
    if gone:
        following = max(gone, key=lambda n: (values[n], -n))
        assert all(values[n] >= values[following] for n in left)
        assert parameters + COSTS[following] > budget


@pytest.mark.parametrize(
    "make, values, last",
    [
        (wrn_28_2, [0, 0.5, 1] * 4, "group3_block4_conv2_scale"),
        (resnet50, [0, 0.5, 1, 1] * 4, "group4_block3_bn3_scale"),
    ],
)
def test_the_papers_networks(make, values, last):
    scaled = with_scales(shake(make((8, 8, 3), width=0.1)), values)
    assert [x.name for x in scaled.layers if isinstance(x, Scale)][-1] == last
    smaller = sss(scaled)
    assert len(adds_of(smaller)) == sum(map(bool, values))
    assert_equal_outputs(scaled, smaller, inputs_of(scaled), 1e-4)
    # The blocks that change the size are among those that go.
    assert smaller.get_layer("group1_block1_shortcut")


def test_channels():
    model = blocks((3, 5, 4, 2))
    values = [[0, 1, 2], [0] * 5, [1, 0.1, 0, 3], [0, 0.2]]
    scaled = with_scales(model, values, "channels")
    smaller = sss(scaled)
    units = [smaller.get_layer(f"in{n}").units for n in range(4)]
    # One of the second stays.
    assert units == [2, 1, 3, 1]
    assert_equal_outputs(scaled, smaller, inputs_of(scaled))
    smaller = sss(scaled, share=5 / 14)
    units = [smaller.get_layer(f"in{n}").units for n in range(4)]
    assert units == [2, 1, 1, 1]
    smaller = sss(scaled, parameters=130)
    assert 117 < structure.cost(smaller).parameters <= 130


def test_without_scales():
    with pytest.raises(ValueError, match="has no scales of branches"):
        sss(blocks())
    scaled = with_scales(blocks(), [1] * 4)
    with pytest.raises(ValueError, match="`share` must be a number in"):
        sss(scaled, share=2)
    with pytest.raises(ValueError, match="`parameters` must be at least"):
        sss(scaled, parameters=REST)
    both = structure.insert_scales(scaled, "channels")
    with pytest.raises(ValueError, match="which no share or budget can"):
        sss(both, share=0.5)


def test_branches_vanish_by_training():
    """Those that are of no use; accuracy stays without further training."""
    data = load("digits")
    x = data.train_images / np.float32(255)
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    y = layers.Conv2D(8, 3, 2, padding="same", name="stem")(inputs)
    for number in range(4):
        z = layers.BatchNormalization(momentum=0.9)(y)
        z = layers.ReLU()(z)
        z = layers.Conv2D(8, 3, padding="same", name=f"conv{number}")(z)
        y = layers.Add()([y, z])
    y = layers.Flatten()(
        layers.ReLU()(layers.BatchNormalization(momentum=0.9)(y))
    )
    dense = keras.Model(inputs, layers.Dense(10, name="logits")(y))
    model = structure.insert_scales(dense)
    rule = dsr_tf.proximal.SoftThreshold(0.1, non_negative=True)
    model.compile(
        dsr_tf.optimizers.SGD(
            0.1,
            0.9,
            nesterov=True,
            l2=1e-3,
            proximal={"_scale/scale$": rule},
        ),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(x, data.train_labels, batch_size=64, epochs=10, verbose=0)
    smaller = sss(model)
    smaller.compile(loss=model.loss, metrics=["accuracy"])
    test_x = data.test_images / np.float32(255)
    assert_equal_outputs(model, smaller, test_x, 1e-5)
    assert 0 < len(adds_of(smaller)) < 4
    accuracy = smaller.evaluate(test_x, data.test_labels, verbose=0)[1]
    assert accuracy > 0.9
