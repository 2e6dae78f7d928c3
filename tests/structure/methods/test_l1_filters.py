"""Filters with the smallest sums of magnitudes go."""

import keras
import numpy as np
import pytest
from keras import layers

from dsr_tf import structure
from dsr_tf.structure.methods.l1_filters import l1_filters


def residual():
    """A stream that a shortcut and a block make, and units inside."""
    inputs = keras.Input((4, 4, 1))
    short = layers.Conv2D(3, 1, use_bias=False, name="shortcut")
    inner = layers.Conv2D(4, 1, name="inner")
    last = layers.Conv2D(3, 1, use_bias=False, name="last")
    x = layers.Add()([short(inputs), last(inner(inputs))])
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(2, name="logits")(x))
    short.kernel.assign(np.reshape([1.0, 3.0, 2.0], (1, 1, 1, 3)))
    inner.kernel.assign(np.reshape([4.0, -9.0, 1.0, -5.0], (1, 1, 1, 4)))
    # By itself, or with the shortcut's, the last would have filter 0 stay.
    last.kernel.assign(np.tile([9.0, 0.1, 0.2], (1, 1, 4, 1)))
    return model


def weights_of(model, name):
    return np.array(model.get_layer(name).kernel).squeeze().tolist()


def test_the_largest_filters_stay():
    model = residual()
    narrow = l1_filters(model, share=0.5)
    assert weights_of(narrow, "inner") == [-9.0, -5.0]
    assert weights_of(narrow, "shortcut") == [1.0, 3.0, 2.0]
    # What is left is as it was.
    keep = {"inner": np.array([False, True, False, True])}
    x = np.ones((2, 4, 4, 1), "float32")
    np.testing.assert_array_equal(narrow(x), structure.narrow(model, keep)(x))
    assert model.get_layer("inner").filters == 4


def test_shortcuts_choose_for_the_stream():
    narrow = l1_filters(residual(), share=0.7, streams="shortcut")
    assert weights_of(narrow, "shortcut") == [3.0, 2.0]
    assert np.shape(weights_of(narrow, "last")) == (2, 2)
    assert weights_of(narrow, "inner") == [-9.0, -5.0]


def test_streams_without_a_shortcut_stay():
    narrow = l1_filters(residual(), share=0.7, streams="projection")
    assert weights_of(narrow, "shortcut") == [1.0, 3.0, 2.0]
    assert weights_of(narrow, "inner") == [-9.0, -5.0]


def test_budgets_and_names():
    model = residual()
    # 3 + 2 * (3 + n) weights less than with one more unit inside.
    whole = structure.cost(model).parameters
    narrow = l1_filters(model, parameters=whole - 1)
    assert weights_of(narrow, "inner") == [4.0, -9.0, -5.0]
    narrow = l1_filters(model, share={"inn": 0.25})
    assert weights_of(narrow, "inner") == -9.0
    narrow = l1_filters(model, macs=structure.cost(model).macs - 65)
    assert weights_of(narrow, "inner") == [-9.0, -5.0]


def test_what_is_refused():
    with pytest.raises(ValueError, match="Either `share`"):
        l1_filters(residual())
    with pytest.raises(ValueError, match="no channels that `l1_filters`"):
        l1_filters(residual(), share=0.5, filters="logits")
