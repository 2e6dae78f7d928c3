"""Branches and channels whose scales are 0 go, and outputs stay."""

import keras
import numpy as np
import pytest
from keras import layers

from dsr_tf import sparsify
from dsr_tf import structure
from dsr_tf.layers import Scale
from dsr_tf.models import resnet50
from dsr_tf.models import wrn_28_2
from dsr_tf.structure import sss
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


def num_groups(model):
    """Of all convolutions in several groups, and those in one."""
    return [x.groups for x in model.layers if x.name.startswith("grouped")]


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


@pytest.fixture(scope="module")
def scaled_blocks():
    return with_scales(blocks(), [0.5, 0, 0.3, 0.7])


@pytest.mark.parametrize(
    "amount, stay",
    [
        ({"share": 0.5}, [0, 3]),
        # Of two that may go, and 0 or not.
        ({"share": 0.5, "filters": "add[12]"}, [0, 2, 3]),
        ({"share": 0.5, "filters": ["add0", "add2"]}, [0, 1, 3]),
        # The second is 0, and goes whatever is allowed.
        ({"parameters": 10**6}, [0, 2, 3]),
        ({"parameters": REST + COSTS[0] + COSTS[3]}, [0, 3]),
        ({"parameters": REST + COSTS[0] + COSTS[3] - 1}, [3]),
        ({"macs": 24 + 12 + 24 + 72}, [0, 3]),
        ({"macs": 24 + 12 + 24 + 71}, [3]),
    ],
    ids=str,
)
def test_a_budget_by_hand(amount, stay, scaled_blocks):
    smaller = sss(scaled_blocks, **amount)
    assert adds_of(smaller) == [f"add{number}" for number in stay]


@pytest.mark.parametrize(
    "make, values, last",
    [
        (wrn_28_2, [0, 0.5, 1] * 4, "conv2_scale"),
        pytest.param(
            resnet50, [0, 0.5, 1, 1] * 4, "bn3_scale", marks=pytest.mark.slow
        ),
    ],
)
def test_the_papers_networks(make, values, last):
    scaled = with_scales(shake(make((8, 8, 3), width=0.1)), values)
    names = [x.name for x in scaled.layers if isinstance(x, Scale)]
    assert len(names) == len(values)
    assert all(name.endswith(last) for name in names)
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


@pytest.mark.parametrize("where", ["branches", "channels"])
def test_scales_that_are_not_finite(where):
    scaled = structure.insert_scales(blocks(), where)
    scale = next(x.scale for x in scaled.layers if isinstance(x, Scale))
    scale.assign(np.full(scale.shape, np.nan))
    with pytest.raises(ValueError, match="scales of .* that are not finite"):
        sss(scaled)


def test_what_a_scale_does_not_make_0():
    """Of a stream it scales a part, and a bias behind it is not 0."""
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 1, name="stem")(inputs)
    y = Scale(None, name="of_stream")(layers.Conv2D(4, 1, name="conv")(x))
    model = keras.Model(inputs, layers.Flatten()(layers.Add()([x, y])))
    with pytest.raises(ValueError, match="has no scales of branches"):
        sss(model)
    y = layers.DepthwiseConv2D(3, name="biased")(x)
    model = keras.Model(inputs, layers.Conv2D(2, 1)(y))
    with pytest.raises(ValueError, match="'biased' adds to what is scaled"):
        structure.insert_scales(model, "channels")
    y = layers.DepthwiseConv2D(3, use_bias=False)(x)
    model = shake(keras.Model(inputs, layers.Conv2D(2, 1)(y)))
    scaled = with_scales(model, [[0, 1, 2, 0]], "channels")
    smaller = sss(scaled)
    assert smaller.get_layer("stem").filters == 2
    assert_equal_outputs(scaled, smaller, inputs_of(scaled))


def in_groups():
    """Two blocks as of ResNeXt, with four groups of two channels."""
    inputs = keras.Input((5, 5, 3))
    x = layers.Conv2D(6, 3, name="stem")(inputs)
    for n in (0, 1):
        y = layers.Conv2D(8, 1, name=f"first{n}")(x)
        y = layers.ReLU()(layers.BatchNormalization()(y))
        y = layers.Conv2D(8, 3, padding="same", groups=4, name=f"grouped{n}")(y)
        y = layers.ReLU()(layers.BatchNormalization(name=f"bn{n}")(y))
        y = layers.Conv2D(6, 1, name=f"last{n}")(y)
        x = layers.Add(name=f"add{n}")([x, y])
    x = layers.GlobalAveragePooling2D()(x)
    return shake(keras.Model(inputs, layers.Dense(2, name="logits")(x)))


# Parameters of a group of a block: two channels in, with their kernels,
# biases, gammas and betas; a kernel of 3x3 and all for two channels out; and
# what reads these.
GROUP = 2 * (6 + 3) + 2 * (9 * 2 + 3) + 2 * 6


def test_groups():
    model = in_groups()
    scaled = with_scales(model, [[0, 1, 0.2, 2], [0] * 4], "groups")
    assert [x.name for x in scaled.layers if isinstance(x, Scale)] == [
        "bn0_scale",
        "bn1_scale",
    ]
    smaller = sss(scaled)
    # One of the second stays, as a convolution that is not in groups.
    assert num_groups(smaller) == [3, 1]
    assert smaller.get_layer("first0").filters == 6
    assert_equal_outputs(scaled, smaller, inputs_of(scaled))
    whole = structure.cost(model).parameters
    assert structure.cost(smaller).parameters == whole - 4 * GROUP
    assert num_groups(sss(scaled, share=0.25)) == [1, 1]
    budget = whole - 5 * GROUP
    assert num_groups(sss(scaled, parameters=budget)) == [2, 1]
    assert num_groups(sss(scaled, parameters=budget - 1)) == [1, 1]


def test_groups_under_masks():
    masked = sparsify(in_groups(), 0.5, seed=0)
    scaled = with_scales(masked, [[0, 1, 0.2, 2], [1, 2, 0, 0]], "groups")
    smaller = sss(scaled)
    assert num_groups(smaller) == [3, 2]
    assert_equal_outputs(scaled, smaller, inputs_of(scaled))


def test_groups_that_no_convolution_has():
    inputs = keras.Input((4,))
    x = Scale(2)(layers.Dense(6, name="dense")(inputs))
    model = keras.Model(inputs, layers.Dense(2, name="logits")(x))
    with pytest.raises(ValueError, match="of 2 groups of channels, dense"):
        sss(model)
