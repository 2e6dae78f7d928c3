"""What is collected of samples is what layers compute, wherever they are."""

import keras
import numpy as np
import pytest
from keras import layers

import dsr_tf
from dsr_tf.core import draws
from dsr_tf.structure.graph.channels import Slice
from dsr_tf.structure.statistics import probe
from tests.conftest import needs_tensorflow
from tests.conftest import values
from tests.structure.probed import images
from tests.structure.probed import network
from tests.structure.probed import shared
from tests.structure.probed import slice_of


def inputs_of(model, layer, x):
    taken = keras.Model(model.inputs[0], layer.input)
    return keras.ops.convert_to_numpy(taken(x))


def test_moments_of_a_dense_layer_are_those_of_numpy():
    model, x = network(), images()
    dense = model.layers[-1]
    (found,) = probe.contributions(
        model, [slice_of(dense)], x, num_places=1, batch_size=4
    )
    added = inputs_of(model, dense, x) * values(dense.kernel)[:, 0]
    y = keras.ops.convert_to_numpy(model(x))[:, 0] - 1
    np.testing.assert_allclose(found.gram, added.T @ added, rtol=1e-5)
    np.testing.assert_allclose(found.b, added.T @ y, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.energy, y @ y, rtol=1e-5)
    assert found.num_samples == 6


def test_contributions_make_the_output_without_its_bias():
    model, x = network(), images()
    convolution = model.layers[1]
    (found,) = probe.contributions(
        model, [slice_of(convolution)], x, num_places=9, seed=5, batch_size=6
    )
    generator = draws.generator(5, 0, 0)
    places = generator.random((6, 9, 2), "float32")
    filters = generator.integers(4, size=(6, 9))
    y = keras.ops.convert_to_numpy(
        convolution(inputs_of(model, convolution, x))
    )
    y = y - values(convolution.bias)
    rows, columns = (
        np.floor(places * y.shape[1:3]).astype(int).transpose(2, 0, 1)
    )
    sampled = y[np.arange(6)[:, None], rows, columns, filters]
    assert found.num_samples == 54
    np.testing.assert_allclose(found.energy, np.sum(sampled**2), rtol=1e-5)
    np.testing.assert_allclose(found.gram.sum(), found.energy)
    np.testing.assert_allclose(found.gram.sum(axis=1), found.b)


def test_units_of_several_positions():
    model, x = network(), images()
    dense = model.layers[3]
    # After `Flatten` channel c of 4 lies at c, 4 + c, 8 + c, ...
    positions = np.arange(24).reshape(6, 4).T
    (found,) = probe.contributions(
        model, [slice_of(dense, positions)], x, num_places=4, seed=1
    )
    (apart,) = probe.contributions(
        model, [slice_of(dense)], x, num_places=4, seed=1
    )
    joined = apart.gram.reshape(6, 4, 6, 4).sum(axis=(0, 2))
    np.testing.assert_allclose(found.gram, joined, rtol=1e-6, atol=1e-9)


def test_several_layers_in_one_pass():
    model, x = network(), images()
    slices = [slice_of(model.layers[i]) for i in (1, 3, 4)]
    together = probe.contributions(model, slices, x, seed=3)
    assert [len(own.gram) for own in together] == [5, 24, 8]
    (first,) = probe.contributions(model, slices[:1], x, seed=3)
    np.testing.assert_array_equal(first.gram, together[0].gram)


def test_samples_depend_on_the_seed_alone():
    model, x = network(), images()
    slices = [slice_of(model.layers[1])]

    def gram(data, **arguments):
        return probe.contributions(model, slices, data, **arguments)[0].gram

    first = gram(x, seed=1, batch_size=3)
    np.testing.assert_array_equal(first, gram(x, seed=1, batch_size=3))
    batches = ((x[i : i + 3], np.zeros(3)) for i in (0, 3))
    np.testing.assert_array_equal(first, gram(batches, seed=1))
    assert not np.array_equal(first, gram(x, seed=2, batch_size=3))
    keras.utils.set_random_seed(8)
    fresh = gram(x)
    keras.utils.set_random_seed(8)
    np.testing.assert_array_equal(fresh, gram(x))


def test_fewer_batches():
    model, x = network(), images()
    slices = [slice_of(model.layers[1])]
    (found,) = probe.contributions(
        model, slices, x, batch_size=2, num_batches=2, num_places=3
    )
    assert found.num_samples == 12


def nested():
    inner = keras.Sequential(
        [keras.Input((5, 4)), layers.Conv1D(4, 2, padding="same")]
    )
    inputs = keras.Input((5, 4))
    outputs = layers.Dense(3)(inner(layers.ReLU()(inputs)))
    return keras.Model(inputs, outputs), inner.layers[0], 1


def frozen():
    model, layer, _ = nested()
    model.trainable = False
    return model, layer, 1


def masked():
    model, _, _ = nested()
    model = dsr_tf.sparsify(model, 0.5, seed=0)
    return model, model.layers[2].layers[0], 1


def wrapped():
    layer = layers.Dense(2)
    inputs = keras.Input((5, 4))
    outputs = layers.TimeDistributed(layer)(inputs)
    return keras.Model(inputs, outputs), layer, 5


class NoGraph(keras.Model):
    def __init__(self):
        super().__init__()
        self.convolution = layers.Conv1D(4, 2, padding="same")

    def call(self, x):
        return self.convolution(x) + self.convolution(x[:, :3])[:, :1]


def no_graph():
    model = NoGraph()
    model(np.zeros((1, 5, 4), "float32"))
    return model, model.convolution, 2


@pytest.mark.parametrize(
    "make", [nested, shared, frozen, masked, wrapped, no_graph]
)
def test_layers_are_found_wherever_they_are(make):
    model, layer, num_calls = make()
    x = images(4, (5, 4))
    before = values(model(x))
    nodes = len(layer._inbound_nodes)
    (found,) = probe.contributions(model, [slice_of(layer)], x, num_places=3)
    assert found.num_samples == 4 * 3 * num_calls
    assert found.energy > 0
    # The model is as it was.
    np.testing.assert_array_equal(values(model(x)), before)
    assert "call" not in vars(layer)
    assert len(layer._inbound_nodes) == nodes


def test_a_masked_layer_adds_what_its_mask_lets_through():
    layer = dsr_tf.layers.SparseDense(1, sparsity=0.5, seed=0)
    model = keras.Sequential([keras.Input((6,)), layer])
    x = images(5, (6,))
    (found,) = probe.contributions(model, [slice_of(layer)], x, num_places=1)
    silent = values(layer.kernel)[:, 0] == 0
    assert silent.sum() == 3
    np.testing.assert_array_equal(found.gram.diagonal() == 0, silent)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    model, x = network(), images()
    keras.config.set_dtype_policy("float32")
    exact = network()
    exact.set_weights(model.get_weights())
    grams = [
        probe.contributions(own, [slice_of(own.layers[1])], x, seed=1)[0].gram
        for own in (model, exact)
    ]
    largest = np.abs(grams[1]).max()
    np.testing.assert_allclose(*grams, atol=0.02 * largest)


@needs_tensorflow
def test_on_several_devices():
    import tensorflow as tf

    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        model = network()
    x = images()
    grams = [
        probe.contributions(own, [slice_of(own.layers[1])], x, seed=1)[0].gram
        for own in (model, network())
    ]
    np.testing.assert_allclose(*grams, rtol=1e-5, atol=1e-7)


def test_layers_that_are_refused():
    inputs = keras.Input((7, 6, 3))
    depthwise = layers.DepthwiseConv2D(3)
    lstm = layers.LSTM(3, return_state=True)
    hidden = depthwise(inputs)
    outputs = lstm(layers.Reshape((20, 3))(hidden))[0]
    model, x = keras.Model(inputs, outputs), images()
    axes = Slice(depthwise.kernel, 2, np.arange(3)[:, None], "in", depthwise)
    with pytest.raises(ValueError, match="of type DepthwiseConv2D"):
        probe.contributions(model, [axes], x)
    with pytest.raises(ValueError, match="of type LSTM"):
        probe.responses(model, [lstm], x)
    other = network()
    with pytest.raises(ValueError, match="is not called by model"):
        probe.contributions(model, [slice_of(other.layers[1])], x)
    writes = Slice(other.layers[0].kernel, 3, None, "out", other.layers[0])
    with pytest.raises(ValueError, match="with role 'out'"):
        probe.contributions(other, [writes], x)


def test_arguments_that_are_refused():
    model, x = network(), images()
    layer = model.layers[1]
    for number in (0, 1.5):
        with pytest.raises(ValueError, match="`num_places` must be"):
            probe.contributions(model, [slice_of(layer)], x, number)
    with pytest.raises(ValueError, match="`seed` must be"):
        probe.contributions(model, [slice_of(layer)], x, seed=-1)
    with pytest.raises(ValueError, match="`pool` must be"):
        probe.responses(model, [layer], x, "sum")
    with pytest.raises(ValueError, match="windows and filters of 'conv2d"):
        probe.window_moments(model, layer, x, (model, model.layers[3]))
