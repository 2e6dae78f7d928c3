"""What a group of each granularity means to the layer: what it reads, makes."""

import keras
import numpy as np
import pytest

from dsr_tf.core import granularity
from dsr_tf.layers import masked_weights
from tests.conftest import gradient_of
from tests.layers.kinds import KINDS
from tests.layers.kinds import built
from tests.layers.kinds import kernel_of

# Those with channels in the last axis of inputs and outputs.
WITH_CHANNELS = sorted(set(KINDS) - {"embedding"})


def groups_reached(layer, name, x, of_outputs):
    """The groups of weights that a part of the outputs depends on."""
    [weight] = masked_weights(layer)
    shape = tuple(weight.kernel.shape)
    axes = layer.kernel_axes(layer, weight.variable.name, len(shape))
    grouping = granularity.get(name).grouping(shape, axes)
    gradient = gradient_of(
        lambda: keras.ops.sum(of_outputs(layer(x))), kernel_of(layer)
    )
    return set(np.flatnonzero(grouping.groups(gradient).any(axis=1)))


def dense_and_inputs(name):
    make, shape = KINDS[name]
    x = 1 + np.random.default_rng(0).random(shape).astype("float32")
    return built(make, x, sparsity=0.0), x


def num_channels(x):
    return x.shape[-1]


@pytest.mark.parametrize("name", WITH_CHANNELS)
def test_an_output_channel_is_made_by_one_group(name):
    layer, x = dense_and_inputs(name)
    reached = [
        groups_reached(layer, "channel", x, lambda y, i=i: y[..., i])
        for i in range(num_channels(layer(x)))
    ]
    assert {len(groups) for groups in reached} == {1}
    assert len(set.union(*reached)) == len(reached)


@pytest.mark.parametrize("name", WITH_CHANNELS)
def test_an_input_channel_is_read_by_one_group(name):
    layer, x = dense_and_inputs(name)
    num = num_channels(x)
    reached = [
        groups_reached(layer, "input", x * np.eye(num)[i], lambda y: y)
        for i in range(num)
    ]
    assert {len(groups) for groups in reached} == {1}
    # Inputs of two parts of a convolution in groups share a place.
    assert len(set.union(*reached)) == num // getattr(layer, "groups", 1)


@pytest.mark.parametrize("name", WITH_CHANNELS)
def test_a_position_of_a_channel_is_read_by_one_group(name):
    """One number of the inputs, and all outputs of one place."""
    layer, x = dense_and_inputs(name)
    inputs = keras.Variable(x)
    places = layer(x).shape[:-1]
    for at in (tuple(n // 2 for n in places), (0,) * len(places)):
        needed = gradient_of(
            lambda at=at: keras.ops.sum(layer(inputs)[at]), inputs
        )
        for place in np.argwhere(needed)[:8]:
            one = np.zeros_like(x)
            one[tuple(place)] = 1
            reached = groups_reached(
                layer, "shape", one, lambda y, at=at: y[at]
            )
            assert len(reached) == 1


def test_a_word_is_an_input():
    make, _ = KINDS["embedding"]
    layer = built(make, np.array([[3, 7]]), sparsity=0.0)
    for name in ("input", "shape"):
        assert groups_reached(layer, name, np.array([[3, 7]]), lambda y: y) == {
            3,
            7,
        }
