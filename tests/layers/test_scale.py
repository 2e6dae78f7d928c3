"""Factors of everything, of groups of channels, and of each channel."""

import json

import keras
import numpy as np
import pytest

from dsr_tf import structure
from dsr_tf.layers import Scale
from tests.structure.networks import check_narrow


@pytest.mark.parametrize(
    "num_scales, axis, factors",
    [
        (1, -1, [2]),
        (2, -1, [2, 3]),
        (None, -1, [2, 3, 4, 5]),
        (3, 1, [2, 3, 4]),
        (None, 1, [2, 3, 4]),
    ],
)
def test_by_hand(num_scales, axis, factors):
    layer = Scale(num_scales, axis)
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    np.testing.assert_array_equal(layer(x), x)
    layer.scale.assign(np.array(factors, "float32"))
    repeated = np.repeat(factors, x.shape[axis] // len(factors))
    shape = [1, 1, 1]
    shape[axis] = -1
    if num_scales == 1:
        repeated, shape = np.array(factors), [1, 1, 1]
    np.testing.assert_allclose(layer(x), x * repeated.reshape(shape))
    copy = Scale.from_config(layer.get_config())
    assert (copy.num_scales, copy.axis) == (num_scales, axis)


@pytest.mark.parametrize("num_scales", [0, -1, 1.5, "all"])
def test_a_bad_number(num_scales):
    with pytest.raises(ValueError, match="`num_scales` must be a positive"):
        Scale(num_scales)


def test_a_bad_axis():
    with pytest.raises(ValueError, match="`axis` must be an integer. .*='x'"):
        Scale(axis="x")
    with pytest.raises(ValueError, match=r"inputs \(2, 4\). Received: axis=2"):
        Scale(None, axis=2)(np.ones((2, 4)))


def test_numpy_numbers_are_written():
    config = Scale(np.int64(2), np.int64(1)).get_config()
    assert json.loads(json.dumps(config))["num_scales"] == 2


def test_groups_that_are_not_equal():
    with pytest.raises(ValueError, match="must divide the number of channels"):
        Scale(3)(np.ones((2, 4)))


@pytest.mark.parametrize("num_scales", [1, 2, None])
def test_channels_are_followed(num_scales):
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            keras.layers.Conv2D(8, 3, name="first"),
            Scale(num_scales, name="scale"),
            keras.layers.ReLU(),
            keras.layers.Conv2D(8, 3, groups=2, name="second"),
            Scale(num_scales, axis=3, name="scale2"),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    generator = np.random.default_rng(0)
    for name in ("scale", "scale2"):
        variable = model.get_layer(name).scale
        variable.assign(generator.uniform(0.5, 2, variable.shape))
    found, keep, narrowed = check_narrow(model)
    assert not found.fixed
    # Groups must keep as many, so channels of them go together.
    assert [s.num_units for s in found.sets] == [4, 4]
    length = 1 if num_scales == 1 else num_scales or 2 * keep["first"].sum()
    assert narrowed.get_layer("scale").scale.shape == (length,)
    assert structure.cost(narrowed).parameters == narrowed.count_params()
