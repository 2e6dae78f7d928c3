"""Windows and kernels make what layers compute, at all places."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers

import dsr_tf
from dsr_tf.structure.statistics import windows
from tests.conftest import needs_tensorflow

CASES = {
    "dense": (layers.Dense(3), (5,)),
    "dense of a sequence": (layers.Dense(3), (4, 5)),
    "dense of an image": (layers.Dense(3), (2, 3, 5)),
    "1d": (layers.Conv1D(3, 3), (7, 4)),
    "1d causal": (
        layers.Conv1D(3, 3, padding="causal", dilation_rate=2),
        (9, 4),
    ),
    "1d causal strides": (
        layers.Conv1D(3, 4, padding="causal", strides=3),
        (9, 4),
    ),
    "2d same": (layers.Conv2D(3, (3, 2), padding="same"), (5, 6, 4)),
    "2d strides": (layers.Conv2D(3, 3, strides=(2, 1)), (6, 6, 4)),
    "2d same strides": (
        layers.Conv2D(3, (4, 3), strides=(2, 3), padding="same"),
        (7, 8, 4),
    ),
    "2d same strides of 1 position": (
        layers.Conv2D(3, 1, strides=2, padding="same"),
        (7, 8, 4),
    ),
    "2d dilated": (
        layers.Conv2D(3, 3, dilation_rate=(2, 3), padding="same"),
        (7, 8, 4),
    ),
    "3d": (layers.Conv3D(3, 2, strides=2, padding="same"), (3, 4, 5, 2)),
    "masked": (
        dsr_tf.layers.SparseConv2D(3, 3, sparsity=0.5, seed=0),
        (5, 5, 4),
    ),
}


def computed(layer, x):
    """Outputs without bias from windows at all places, and those of Keras."""
    outputs = keras.ops.convert_to_numpy(layer(x))
    if getattr(layer, "data_format", "") == "channels_first":
        outputs = np.moveaxis(outputs, 1, -1)
    found = windows.windows_of(layer)
    sizes = outputs.shape[1:-1]
    if isinstance(layer, layers.Dense):
        sizes = (int(np.prod(sizes)),)
    places = np.array(
        [
            [(i + 0.5) / size for i, size in zip(place, sizes)]
            for place in itertools.product(*map(range, sizes))
        ],
        "float32",
    )
    inputs = keras.Input(batch_shape=x.shape)
    take = keras.layers.Lambda(
        lambda inputs: found.take(inputs, places[None]),
        output_shape=(len(places), *windows.kernel_of(layer).shape[:2]),
    )
    taken = keras.Model(inputs, take(inputs)).predict_on_batch(x)
    from_windows = np.einsum("nskc,kcf->nsf", taken, windows.kernel_of(layer))
    return from_windows, outputs.reshape(len(x), -1, outputs.shape[-1])


@pytest.mark.parametrize("name", CASES)
def test_windows_and_kernel_make_the_output(name):
    layer, shape = CASES[name]
    x = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    found, expected = computed(layer, x)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_channels_first():
    layer = layers.Conv2D(
        3, 3, strides=2, padding="same", data_format="channels_first"
    )
    x = np.random.default_rng(0).normal(size=(2, 4, 7, 6)).astype("float32")
    try:
        found, expected = computed(layer, x)
    except Exception as error:  # Only TensorFlow's own kinds of errors.
        if "CPU" not in str(error) and "NHWC" not in str(error):
            raise
        pytest.skip("TensorFlow has no such convolution on a CPU")
    np.testing.assert_allclose(found, expected, atol=1e-5)


@needs_tensorflow
def test_sizes_that_are_not_known_before():
    import tensorflow as tf

    layer = layers.Conv2D(3, 3, strides=2, padding="same")
    x = np.random.default_rng(0).normal(size=(2, 7, 6, 4)).astype("float32")
    layer(x)
    places = np.random.default_rng(1).random((2, 5, 2), "float32")
    take = windows.windows_of(layer).take

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 4))])
    def in_a_graph(inputs):
        return take(inputs, places)

    np.testing.assert_array_equal(in_a_graph(x), take(tf.constant(x), places))


def test_places_reach_all_of_the_output():
    found = windows.Windows((1,), (1,), (1,))
    x = keras.ops.convert_to_tensor(np.arange(5.0, dtype="float32"))
    just_below = np.nextafter(np.float32(1), np.float32(0))
    places = np.array([0, 0.1999, 0.2, 0.7999, 0.8, just_below], "float32")
    taken = found.take(x[None, :, None], places[None, :, None])
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(taken).ravel(), [0, 0, 1, 3, 4, 4]
    )


def test_more_examples_than_places():
    # As where a model makes more examples of its inputs.
    found = windows.Windows((1,), (1,), (1,))
    x = np.arange(12.0, dtype="float32").reshape(4, 3, 1)
    places = np.array([[[0.0]], [[0.9]]], "float32")
    taken = found.take(keras.ops.convert_to_tensor(x), places)
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(taken).ravel(), [0, 5, 6, 11]
    )


@pytest.mark.parametrize(
    "layer",
    [
        layers.DepthwiseConv2D(3),
        layers.SeparableConv2D(4, 3),
        layers.Conv2DTranspose(4, 3),
        layers.Conv2D(4, 3, groups=2),
        layers.LSTM(3),
    ],
    ids=lambda layer: layer.name,
)
def test_layers_that_are_refused(layer):
    with pytest.raises(ValueError, match=f"known of Dense.*'{layer.name}'"):
        windows.windows_of(layer)
