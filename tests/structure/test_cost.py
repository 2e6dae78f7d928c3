"""What a model costs, against loops that count each multiplication."""

import itertools

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from keras import layers

import dsr_tf
from dsr_tf import models
from dsr_tf import structure
from tests.conftest import needs_tensorflow


class Counted:
    """Products by numbers that are not 0, counted one by one."""

    def __init__(self):
        self.count = 0

    def times(self, weight, number):
        self.count += weight != 0
        return weight * number

    def matmul(self, x, kernel):
        """`(n, a)` by `(a, b)`, number by number."""
        result = np.zeros((len(x), kernel.shape[1]))
        for i, a, b in np.ndindex(len(x), *kernel.shape):
            result[i, b] += self.times(kernel[a, b], x[i, a])
        return result

    def convolution(self, x, kernel, strides, groups, padding):
        """Of one image `(h, w, channels)`."""
        num_outputs, per_group = kernel.shape[3], kernel.shape[2]
        x = padded(x, kernel.shape[:2], strides, padding)
        shape = [
            (x.shape[i] - kernel.shape[i]) // strides[i] + 1 for i in (0, 1)
        ]
        result = np.zeros((*shape, num_outputs))
        for (i, j), (di, dj, a, b) in itertools.product(
            np.ndindex(*shape), np.ndindex(*kernel.shape)
        ):
            channel = b // (num_outputs // groups) * per_group + a
            number = x[i * strides[0] + di, j * strides[1] + dj, channel]
            result[i, j, b] += self.times(kernel[di, dj, a, b], number)
        return result


def padded(x, window, strides, padding):
    if padding == "valid":
        return x
    widths = []
    for size, length, stride in zip(x.shape, window, strides):
        total = max((-(-size // stride) - 1) * stride + length - size, 0)
        widths.append((total // 2, total - total // 2))
    return np.pad(x, [*widths, (0, 0)])


def kernels_of(model):
    """The kernels as the forward pass reads them, in order."""
    return [
        np.asarray(weight.variable.masked(weight.kernel))
        for weight in dsr_tf.masked_weights(model)
    ]


def one_layer(layer, shape, sparsity, seed):
    model = keras.Sequential([keras.Input(shape), layer])
    return dsr_tf.sparsify(model, sparsity, seed=seed)


def output_of(model, x):
    return np.asarray(model(x[None]))[0]


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_convolutions(data):
    size = st.integers(1, 3)
    groups = data.draw(st.sampled_from((1, 2)))
    inputs, outputs = groups * data.draw(size), groups * data.draw(size)
    stride, window = data.draw(size), data.draw(st.tuples(size, size))
    padding = data.draw(st.sampled_from(("same", "valid")))
    shape = data.draw(st.tuples(*[st.integers(3, 6)] * 2))
    layer = layers.Conv2D(
        outputs, window, stride, padding, groups=groups, use_bias=False
    )
    model = one_layer(
        layer, (*shape, inputs), data.draw(st.floats(0, 0.95)), seed=1
    )
    x = np.random.default_rng(2).normal(size=(*shape, inputs))
    counted = Counted()
    expected = counted.convolution(
        x, *kernels_of(model), (stride, stride), groups, padding
    )
    np.testing.assert_allclose(output_of(model, x), expected, atol=1e-5)
    assert dsr_tf.cost(model).num_active_macs == counted.count


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda **k: layers.Dense(5, **k), (3, 2, 4)),
        (lambda **k: layers.Conv1D(5, 3, dilation_rate=2, **k), (9, 2)),
        (lambda **k: layers.Conv2D(4, 2, (2, 1), groups=2, **k), (6, 5, 4)),
        (lambda **k: layers.Conv3D(2, 2, **k), (3, 4, 3, 2)),
        (lambda **k: layers.Conv1DTranspose(3, 3, 2, **k), (4, 2)),
        (lambda **k: layers.Conv2DTranspose(3, 2, 3, **k), (3, 2, 2)),
        (lambda **k: layers.Conv3DTranspose(2, 2, 2, **k), (2, 3, 2, 2)),
        (lambda **k: layers.DepthwiseConv1D(3, 2, **k), (7, 3)),
        (
            lambda **k: layers.DepthwiseConv2D(2, 2, depth_multiplier=2, **k),
            (6, 4, 3),
        ),
    ],
)
def test_what_keras_multiplies(layer, shape):
    """Of an input of ones and weights of 1 or 0, without padding, each
    product by an active weight adds 1 to some output."""
    model = one_layer(layer(use_bias=False), shape, 0.6, seed=1)
    (weight,) = dsr_tf.masked_weights(model)
    weight.kernel.assign(np.ones(weight.kernel.shape))
    products = output_of(model, np.ones(shape)).sum()
    found = dsr_tf.cost(model)
    assert found.num_active_macs == products
    weight.set_mask(np.ones(weight.size, "bool"))
    weight.kernel.assign(np.ones(weight.kernel.shape))
    assert found.num_macs == output_of(model, np.ones(shape)).sum()


def test_separable_convolutions():
    """Of 4 x 3 windows, then of as many pixels."""
    layer = layers.SeparableConv2D(5, 2, depth_multiplier=2)
    model = one_layer(layer, (5, 4, 3), 0.5, seed=1)
    window, pixel = kernels_of(model)
    expected = 4 * 3 * (np.count_nonzero(window) + np.count_nonzero(pixel))
    found = dsr_tf.cost(model)
    assert found.num_active_macs == expected
    assert found.num_macs == 4 * 3 * (2 * 2 * 6 + 6 * 5)


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 4), st.integers(2, 5), st.floats(0, 0.7), st.booleans())
def test_recurrent_layers(steps, units, sparsity, is_stateful):
    model = keras.Sequential(
        [
            keras.Input((steps, 3), batch_size=1),
            layers.SimpleRNN(units, stateful=is_stateful, use_bias=False),
        ]
    )
    model = dsr_tf.sparsify(model, sparsity, seed=1)
    kernel, recurrent = kernels_of(model)
    x = np.random.default_rng(2).normal(size=(steps, 3))
    counted, state = Counted(), np.zeros((1, units))
    for number in x:
        state = np.tanh(
            counted.matmul(number[None], kernel)
            + counted.matmul(state, recurrent)
        )
    np.testing.assert_allclose(output_of(model, x), state[0], atol=1e-5)
    assert dsr_tf.cost(model).num_active_macs == counted.count


@pytest.mark.parametrize(
    ("layer", "shape", "uses"),
    [
        (layers.LSTM(3), (5, 2), (5, 5)),
        (layers.GRU(3, return_sequences=True), (5, 2), (5, 5)),
        (layers.Bidirectional(layers.GRU(3)), (5, 2), (5, 5, 5, 5)),
        # Windows inside of 4 x 3 pixels, and of the state, which is padded.
        (layers.ConvLSTM2D(2, 2), (5, 4, 3, 1), (30, 30)),
    ],
)
def test_gates(layer, shape, uses):
    """Each kernel is multiplied in every step, also of a state of 0."""
    model = one_layer(layer, shape, 0.5, seed=1)
    numbers = [np.count_nonzero(kernel) for kernel in kernels_of(model)]
    expected = sum(n * times for n, times in zip(numbers, uses, strict=True))
    assert dsr_tf.cost(model).num_active_macs == expected


@pytest.mark.parametrize(
    ("equation", "shape", "output_shape"),
    [
        ("abc,cd->abd", (3, 4), (3, 5)),
        ("abc,cd->abd", (3, 4), (None, 5)),
        ("abc,bcd->ad", (3, 4), (5,)),
        ("abc,cde->abde", (3, 4), (3, 2, 5)),
        ("abc,b->ac", (3, 4), (4,)),
        ("...c,cd->...d", (2, 3, 4), (5,)),
        ("...bc,bd->...dc", (2, 3, 4), (5, 4)),
    ],
)
def test_einsum(equation, shape, output_shape):
    layer = layers.EinsumDense(equation, output_shape)
    model = one_layer(layer, shape, 0.6, seed=1)
    (kernel,) = kernels_of(model)
    # A product is what each input gives each output by one weight: of ones,
    # the sum of all outputs is how many there are.
    ones = (kernel != 0).astype("float32")
    expected = np.einsum(equation, np.ones((1, *shape), "float32"), ones).sum()
    found = dsr_tf.cost(model)
    assert found.num_active_macs == expected
    assert not found.uncounted


def test_attention():
    inputs = keras.Input((5, 6))
    attention = layers.MultiHeadAttention(2, 3, use_bias=False, name="heads")
    model = keras.Model(inputs, attention(inputs, inputs))
    sparse = dsr_tf.sparsify(model, 0.5, seed=0)
    counted = Counted()
    x = np.random.default_rng(2).normal(size=(5, 6))
    query, key, value, output = kernels_of(sparse)
    q, k, v = (
        counted.matmul(x, w.reshape(6, 6)).reshape(5, 2, 3)
        for w in (query, key, value)
    )
    heads = []
    for head in range(2):
        scores = counted.matmul(q[:, head], k[:, head].T) / np.sqrt(3)
        scores = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        heads.append(counted.matmul(v[:, head].T, scores.T).T)
    result = counted.matmul(np.concatenate(heads, 1), output.reshape(6, 6))
    np.testing.assert_allclose(output_of(sparse, x), result, atol=1e-5)
    found = dsr_tf.cost(sparse)
    assert found.num_active_macs == counted.count
    assert found.num_macs == structure.cost(model).macs == 4 * 180 + 300
    by_path = {layer.path: layer for layer in found.layers}
    assert by_path["heads"].num_active_macs == 300
    assert by_path["heads/query"].num_macs == 180
    assert by_path["heads/query"].num_active_macs == 90


def test_tables_that_score():
    inputs = keras.Input((5,), dtype="int32")
    table = layers.ReversibleEmbedding(9, 4, name="table")
    model = keras.Model(inputs, table(table(inputs), reverse=True))
    assert dsr_tf.cost(model).num_macs == 5 * 9 * 4
    lookup = keras.Model(inputs, layers.Embedding(9, 4)(inputs))
    assert dsr_tf.cost(lookup).num_macs == 0
    assert dsr_tf.cost(lookup).num_parameters == 36


def test_what_is_called_twice_counts_twice():
    inputs = keras.Input((4,))
    dense = layers.Dense(4, name="twice")
    model = keras.Model(inputs, layers.Dense(2)(dense(dense(inputs))))
    sparse = dsr_tf.sparsify(model, 0.5, seed=0)
    by_path = {layer.path: layer for layer in dsr_tf.cost(sparse).layers}
    assert by_path["twice"].num_macs == 32
    assert by_path["twice"].num_active_macs == 16
    assert by_path["twice"].num_parameters == 20


def test_all_ways_to_keep_weights():
    """Stored, clustered and tied kernels cost what masked ones do."""
    model = keras.Sequential(
        [keras.Input((7, 64)), layers.Dense(64), layers.Dense(64)]
    )
    whole = dsr_tf.cost(model)
    assert whole.num_macs == whole.num_active_macs == 7 * 64 * 128
    masked = dsr_tf.sparsify(model, 0.75, granularity="block:32", seed=0)
    found = dsr_tf.cost(masked)
    assert found.num_macs == whole.num_macs
    assert found.num_active_macs == whole.num_macs // 4
    stored = dsr_tf.with_storage(masked, "blocks")
    assert stored.layers[0].storage == "blocks"
    for other in (stored, dsr_tf.cluster(masked, 4)):
        assert dsr_tf.cost(other).layers == found.layers
    tied = dsr_tf.cost(dsr_tf.tie(model, 0.75, seed=0))
    assert tied.num_active_macs == tied.num_macs == whole.num_macs
    assert tied.num_parameters < whole.num_parameters


def stored_by_kind():
    inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(20, 8, name="table")(inputs)
    x = layers.MultiHeadAttention(2, 4, name="heads")(x, x)
    x = layers.EinsumDense("abc,cd->abd", (6, 8), name="einsum")(x)
    x = layers.Conv1D(8, 1, name="pixels")(x)
    return keras.Model(inputs, layers.Dense(3, name="dense")(x))


@needs_tensorflow
def test_lists_and_rows():
    """And of each kind of layer that can be stored so."""
    masked = dsr_tf.sparsify(stored_by_kind(), 0.5, seed=0)
    found = dsr_tf.cost(masked)
    stored = dsr_tf.with_storage(masked, "lists", filters=r"^(?!table)")
    stored = dsr_tf.with_storage(stored, "rows", filters="^table")
    kinds = {w.layer.storage for w in dsr_tf.masked_weights(stored)}
    assert kinds == {"lists", "rows"}
    assert dsr_tf.cost(stored).layers == found.layers
    # Nothing is multiplied by a table; by all others for each of 6 places.
    active = {w.path: w.num_active for w in dsr_tf.masked_weights(masked)}
    table = active.pop("table/embeddings")
    assert table == 80
    between = 2 * 6 * 6 * 8  # Queries by keys, and what comes of it by values.
    assert found.num_active_macs == 6 * sum(active.values()) + between


def test_counts_are_those_of_the_summary():
    model = dsr_tf.sparsify(models.lenet_300_100(), 0.9, seed=0)
    found, summary = dsr_tf.cost(model), dsr_tf.sparsity_summary(model)
    assert found.num_parameters == summary.num_parameters
    assert found.num_active_parameters == summary.num_active_parameters
    assert found.num_macs == summary.num_masked
    assert found.num_active_macs == summary.num_active
    printed = str(found)
    assert "fc1" in printed and f"{found.num_active_macs:,}" in printed
    assert found.to_dict()["layers"][0]["num_macs"] == 784 * 300
    assert summary.num_macs == found.num_macs
    assert summary.num_active_macs == found.num_active_macs
    assert [x.num_active_macs for x in summary.layers] == [
        x.num_active for x in summary.layers
    ]
    assert str(summary).count("MACs") == 2
