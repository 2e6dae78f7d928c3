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


def slice_of(layer, positions=None):
    """The channels that a layer reads; each is a unit by default."""
    if positions is None:
        positions = np.arange(layer.kernel.shape[-2])[:, None]
    axis = len(layer.kernel.shape) - 2
    return Slice(layer.kernel, axis, positions, "in", layer)


def images(number=6, shape=(7, 6, 3)):
    generator = np.random.default_rng(0)
    return generator.normal(size=(number, *shape)).astype("float32")


def network():
    """Convolutions, then units that are nine positions each, then dense."""
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((7, 6, 3)),
            layers.Conv2D(5, 3, padding="same", activation="relu"),
            layers.Conv2D(4, 3, strides=2, bias_initializer="normal"),
            layers.Flatten(),
            layers.Dense(8, "relu"),
            layers.Dense(1, bias_initializer="ones"),
        ]
    )


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


def shared():
    layer = layers.Conv1D(4, 2, padding="same")
    inputs = keras.Input((5, 4))
    return keras.Model(inputs, layer(layer(inputs))), layer, 2


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


def test_moments_of_windows_are_those_of_numpy():
    model = keras.Sequential(
        [keras.Input((3, 3, 2)), layers.Conv2D(4, 3, bias_initializer="ones")]
    )
    layer, x = model.layers[0], images(5, (3, 3, 2))
    found = probe.window_moments(model, layer, x, num_places=1, batch_size=2)
    rows = np.concatenate([x.reshape(5, 18), np.ones((5, 1))], axis=1)
    y = keras.ops.convert_to_numpy(model(x)).reshape(5, 4) - 1
    np.testing.assert_allclose(found.xx, rows.T @ rows, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.xy, rows.T @ y, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.energy, np.sum(y**2), rtol=1e-5)

    # What two units of the four filters add at each place.
    layer_kernel = values(layer.kernel).reshape(9, 2, 4)
    added = np.einsum("nkc,kcf->nfc", x.reshape(5, 9, 2), layer_kernel)
    added = added.reshape(-1, 2)
    units = found.contributions(layer_kernel, np.array([[0], [1]]))
    np.testing.assert_allclose(units.gram, added.T @ added, rtol=1e-4)
    np.testing.assert_allclose(units.b, added.T @ y.ravel(), rtol=1e-4)
    assert units.num_samples == 20
    assert units.error(np.ones(2)) < 1e-6
    left = y.ravel() - 0.5 * added[:, 0]
    np.testing.assert_allclose(
        units.error(np.array([0.5, 0.0])),
        np.sum(left**2) / np.sum(y**2),
        rtol=1e-5,
    )

    # With the other channel taken off the targets.
    alone = found.contributions(layer_kernel, np.array([[1]]))
    np.testing.assert_allclose(alone.gram, units.gram[1:, 1:])
    np.testing.assert_allclose(alone.b, units.gram[1:, 1], rtol=1e-4)
    np.testing.assert_allclose(alone.energy, units.gram[1, 1], rtol=1e-4)


def test_targets_of_another_model():
    model, original, x = network(), network(), images()
    original.layers[1].set_weights(
        [2 * weight for weight in original.layers[1].get_weights()]
    )
    arguments = {"seed": 4, "num_places": 6}
    own = probe.window_moments(model, model.layers[1], x, **arguments)
    other = probe.window_moments(
        model,
        model.layers[1],
        x,
        (original, original.layers[1]),
        **arguments,
    )
    # Places are the same, and targets twice as large.
    np.testing.assert_array_equal(own.xx, other.xx)
    np.testing.assert_allclose(2 * own.xy, other.xy, rtol=1e-6)
    np.testing.assert_allclose(4 * own.energy, other.energy)


@pytest.mark.parametrize("pool", ["max", "mean"])
def test_responses_are_those_of_numpy(pool):
    model, x = network(), images(11)
    wanted = [model.layers[0], model.layers[3]]
    found = probe.responses(model, wanted, (x, None), pool, batch_size=4)
    outputs = keras.Model(model.inputs[0], [own.output for own in wanted])(x)
    convolved, dense = map(keras.ops.convert_to_numpy, outputs)
    for own, rows in zip(found, (getattr(convolved, pool)((1, 2)), dense)):
        assert own.number == 11
        np.testing.assert_allclose(own.mean, rows.mean(0), rtol=1e-5)
        np.testing.assert_allclose(
            own.covariance, np.cov(rows, rowvar=False), rtol=1e-3, atol=1e-6
        )


def test_responses_far_from_zero():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2)])
    model.layers[0].set_weights([np.eye(2), np.full(2, 4096.0)])
    x = images(40, (2,))
    (found,) = probe.responses(model, model.layers, x, batch_size=7)
    expected = np.cov(x, rowvar=False)
    np.testing.assert_allclose(found.covariance, expected, atol=2e-3)


def test_responses_of_all_calls():
    model, layer, _ = shared()
    (found,) = probe.responses(model, [layer], images(4, (5, 4)))
    assert found.number == 8


def test_one_response_has_no_covariance():
    model = network()
    (found,) = probe.responses(model, model.layers[:1], images(1))
    with pytest.raises(ValueError, match="at least two examples"):
        _ = found.covariance


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


def test_moments_that_do_not_fit_are_refused():
    inputs = keras.Input((600_000,))
    model = keras.Model(inputs, layers.Dense(1)(inputs))
    with pytest.raises(ValueError, match="The moments of the 600,000 inputs"):
        probe.window_moments(
            model, model.layers[1], np.zeros((1, 600_000), "float32")
        )
