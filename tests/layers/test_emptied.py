"""Which parts of kernels masks have emptied, by hand-made masks."""

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf.layers import masked_weights
from dsr_tf.layers.emptied import emptied


def convolution(granularity="element"):
    dense = keras.Sequential(
        [keras.Input((8, 8, 4)), keras.layers.Conv2D(8, 3, name="c")]
    )
    return dsr_tf.sparsify(dense, 0.5, granularity=granularity)


def mask(model, inactive):
    (weight,) = masked_weights(model)
    whole = np.ones(weight.grouping.mask_shape, "bool")
    for place in inactive:
        whole[place] = False
    weight.set_mask(whole)
    return emptied(model)


ALL = slice(None)


@pytest.mark.parametrize(
    "inactive, found",
    [
        ([], []),
        ([(0, 1, 2, 3)], ["element"]),
        ([(ALL, ALL, 2, 3)], ["kernel"]),
        ([(0, 1, 2)], ["shape"]),
        # One shape and one channel: of each what is left is whole.
        ([(0, 1, 2), (ALL, ALL, ALL, 5)], ["shape"]),
        ([(ALL, ALL, 2, 3), (ALL, ALL, ALL, 5)], ["kernel"]),
        ([(ALL, ALL, 2), (ALL, ALL, ALL, 5)], ["channel"]),
        ([(ALL, ALL, 2)], ["channel"]),
        ([()], ["layer"]),
    ],
)
def test_masks_of_single_weights(inactive, found):
    assert mask(convolution(), inactive) == found


def test_blocks_and_patterns():
    assert mask(convolution("block:2x4"), [(0, 1, 1, 1)]) == ["block:2x4"]
    # A column of blocks is four channels.
    assert mask(convolution("block:2x4"), [(ALL, ALL, ALL, 1)]) == ["channel"]
    assert emptied(convolution("2:4")) == ["2:4"]


def test_kinds_of_several_layers():
    dense = keras.Sequential(
        [keras.Input((6,))] + [keras.layers.Dense(4) for _ in range(3)]
    )
    model = dsr_tf.sparsify(dense, 0.5)
    first, second, third = masked_weights(model)
    first.set_mask(np.arange(24).reshape(6, 4) % 4 != 1)
    second.set_mask(np.eye(4, dtype="bool"))
    third.set_mask(np.zeros((4, 4), "bool"))
    # Without a window, what reads one input is all that its shape has.
    assert emptied(model) == ["layer", "channel", "element"]


def test_kernels_without_inputs():
    dense = keras.Sequential(
        [keras.Input((8, 8, 4)), keras.layers.DepthwiseConv2D(3)]
    )
    model = dsr_tf.sparsify(dense, 0.5)
    (weight,) = masked_weights(model)
    whole = np.ones(weight.grouping.mask_shape, "bool")
    whole[:, :, 2] = False
    weight.set_mask(whole)
    assert emptied(model) == ["channel"]
    whole[0, 0, 0] = False
    weight.set_mask(whole)
    assert emptied(model) == ["element"]
