"""Channels with the smallest scales go."""

import keras
import numpy as np
import pytest
from keras import layers

from dsr_tf import structure
from dsr_tf.models import wrn_28_2
from dsr_tf.structure.methods.slimming import slimming


def chain():
    """Ten units, of which two are scaled by nothing."""
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(4, name="a"),
            layers.BatchNormalization(name="a_bn"),
            layers.ReLU(),
            layers.Dense(4, use_bias=False, name="b"),
            layers.BatchNormalization(name="b_bn"),
            layers.Dense(2, name="c"),
            layers.Dense(2, name="d"),
        ]
    )
    # Signs do not count.
    model.get_layer("a_bn").gamma.assign([0.5, -0.8, 0.1, 0.6])
    model.get_layer("b_bn").gamma.assign([0.2, 0.3, -0.7, 0.4])
    return model


def gammas(model, name):
    return np.array(model.get_layer(f"{name}_bn").gamma).tolist()


def rounded(numbers):
    return [round(number, 2) for number in numbers]


@pytest.mark.parametrize(
    "share, first, second",
    [
        # Of 0.1 to 0.8 the threshold is entry int(8 * (1 - share)), and goes.
        (0.5, [-0.8, 0.6], [-0.7]),
        (0.75, [0.5, -0.8, 0.6], [-0.7, 0.4]),
        # Of `b` nothing would be left.
        (0.25, [-0.8], [-0.7]),
        (1, [0.5, -0.8, 0.1, 0.6], [0.2, 0.3, -0.7, 0.4]),
        # Of each layer, and of one.
        ({".": 0.5}, [-0.8, 0.6], [-0.7, 0.4]),
        ({"b": 0.25}, [0.5, -0.8, 0.1, 0.6], [-0.7]),
    ],
)
def test_what_stays_by_hand(share, first, second):
    narrow = slimming(chain(), share=share)
    assert rounded(gammas(narrow, "a")) == first
    assert rounded(gammas(narrow, "b")) == second
    assert narrow.get_layer("c").units == 2


def test_budgets():
    model = chain()
    # `a` has 3 weights, a bias, gamma and beta a unit, and 4 that read it.
    whole = structure.cost(model)
    narrow = slimming(model, parameters=whole.parameters - 1)
    assert rounded(gammas(narrow, "a")) == [0.5, -0.8, 0.6]
    assert len(gammas(narrow, "b")) == 4
    assert structure.cost(narrow).parameters == whole.parameters - 10
    narrow = slimming(model, macs=whole.macs - 8)
    assert (len(gammas(narrow, "a")), len(gammas(narrow, "b"))) == (3, 3)


def test_it_computes_what_is_left():
    model = chain()
    keep = {
        "a": np.array([False, True, False, True]),
        "b": np.array([False, False, True, False]),
    }
    x = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_array_equal(
        slimming(model, share=0.5)(x), structure.narrow(model, keep)(x)
    )


def test_branches_select_from_the_stream():
    """WRN-28-2: the first normalization of a block, and the last of all."""
    model = wrn_28_2((8, 8, 1), 10)
    generator = np.random.default_rng(0)
    for layer in model.layers:
        if hasattr(layer, "gamma"):
            layer.gamma.assign(generator.uniform(0.1, 1, layer.gamma.shape))
    small = model.get_layer("group2_block3_bn1")
    small.gamma.assign(np.where(np.arange(64) < 60, 0.01, 0.9))
    narrow = slimming(model, share=0.9)
    assert narrow.get_layer("group2_block3_bn1").gamma.shape == (4,)
    assert narrow.get_layer("group2_block3_conv1").kernel.shape[2] == 4
    # The stream goes on, for those that add to it.
    assert narrow.get_layer("group2_block3_conv2").filters == 64
    loaded = keras.models.model_from_json(narrow.to_json())
    assert structure.cost(loaded) == structure.cost(narrow)
    # Without selections only what lies inside of the blocks.
    inner = slimming(model, share=0.5, selections=False)
    assert inner.get_layer("group2_block3_bn1").gamma.shape == (64,)
    assert inner.get_layer("group2_block3_bn2").gamma.shape[0] < 64
    half = structure.cost(model).parameters // 2
    assert structure.cost(slimming(model, parameters=half)).parameters <= half


def test_what_is_refused():
    with pytest.raises(ValueError, match="Either `share`"):
        slimming(chain())
    with pytest.raises(ValueError, match="Either `share`"):
        slimming(chain(), share=0.5, macs=9)
    for share in (0, 1.5, "half", {"x": 0.5}):
        with pytest.raises(ValueError, match="`share` must be a number in"):
            slimming(chain(), share=share)
    plain = keras.Sequential(
        [keras.Input((3,)), layers.Dense(4), layers.Dense(2)]
    )
    with pytest.raises(ValueError, match="`slimming` can remove.*no normal"):
        slimming(plain, share=0.5)
