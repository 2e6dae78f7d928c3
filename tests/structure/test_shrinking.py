"""Borders of zeros are cut off windows, and the outputs stay."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from keras import layers

from dsr_tf.structure.removal.shrinking import shrink_windows
from tests.conftest import values
from tests.structure.networks import assert_equal_outputs
from tests.structure.networks import shake


def network(**convolution):
    inputs = keras.Input((9, 8, 2))
    x = layers.Conv2D(3, name="conv", **convolution)(inputs)
    return shake(keras.Model(inputs, layers.ReLU()(x)))


def clear(model, rows=(), columns=()):
    kernel = np.array(values(model.get_layer("conv").kernel))
    kernel[list(rows)] = 0
    kernel[:, list(columns)] = 0
    model.get_layer("conv").kernel.assign(kernel)
    return model


def check(model):
    copy = shrink_windows(model)
    x = np.random.default_rng(0).normal(size=(3, *model.input_shape[1:]))
    assert_equal_outputs(model, copy, x.astype("float32"))
    return copy


@pytest.mark.parametrize(
    "rows, columns, size, padding, others",
    [
        ([], [], (3, 3), "same", []),
        ([1], [1], (3, 3), "same", []),
        # In the middle, and as Keras pads a window of two.
        ([0, 2], [0, 2], (1, 1), "same", []),
        ([0], [0], (2, 2), "same", []),
        ([2], [], (2, 3), "valid", ["Pad"]),
        ([0, 1], [], (1, 3), "valid", ["Pad", "GetItem"]),
    ],
)
def test_windows_and_what_pads_for_them(rows, columns, size, padding, others):
    model = clear(network(kernel_size=3, padding="same"), rows, columns)
    copy = check(model)
    conv = copy.get_layer("conv")
    assert (conv.kernel_size, conv.padding) == (size, padding)
    names = [type(x).__name__ for x in copy.operations]
    assert [n for n in names if n in ("Pad", "GetItem")] == others


@given(
    st.fixed_dictionaries(
        {
            "kernel_size": st.tuples(st.integers(1, 4), st.integers(1, 4)),
            "padding": st.sampled_from(["same", "valid"]),
            "strides": st.integers(1, 3),
        }
    ),
    st.sets(st.integers(0, 3)),
    st.sets(st.integers(0, 3)),
)
@settings(max_examples=15, deadline=None)
def test_any_window(convolution, rows, columns):
    height, width = convolution["kernel_size"]
    model = clear(
        network(**convolution),
        [n for n in rows if n < height],
        [n for n in columns if n < width],
    )
    kernel = values(check(model).get_layer("conv").kernel)
    if kernel.any():
        for ends in (kernel[[0, -1]], kernel[:, [0, -1]].swapaxes(0, 1)):
            assert ends.any(axis=(1, 2, 3)).all()
    else:
        assert kernel.shape[:2] == (1, 1)


def test_dilation_and_one_axis():
    model = network(kernel_size=3, padding="same", dilation_rate=2)
    copy = check(clear(model, [2], [0]))
    assert copy.get_layer("conv").kernel_size == (2, 2)
    model = keras.Sequential(
        [keras.Input((9, 2)), layers.Conv1D(3, 3, name="conv")]
    )
    copy = check(clear(shake(model), [0]))
    assert copy.get_layer("conv").kernel_size == (2,)


def test_what_stays(tmp_path):
    """Where padding depends on sizes that are not known, and causal."""
    inputs = keras.Input((None, None, 2))
    conv = layers.Conv2D(3, 3, strides=2, padding="same", name="conv")
    model = clear(shake(keras.Model(inputs, conv(inputs))), [0])
    assert shrink_windows(model).get_layer("conv").kernel_size == (3, 3)
    inputs = keras.Input((9, 2))
    conv = layers.Conv1D(3, 3, padding="causal", name="conv")
    model = clear(shake(keras.Model(inputs, conv(inputs))), [0])
    assert shrink_windows(model).get_layer("conv").kernel_size == (3,)


def test_files(tmp_path):
    model = clear(network(kernel_size=3, padding="same"), [0, 1])
    copy = shrink_windows(model)
    copy.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    x = np.ones((2, 9, 8, 2), "float32")
    assert_equal_outputs(copy, again, x, tolerance=0)
