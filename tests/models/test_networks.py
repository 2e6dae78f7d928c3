"""What holds for every network, and the small ones of papers on pruning."""

import keras
import numpy as np
import pytest

from dsr_tf import models
from dsr_tf import structure
from dsr_tf.models import registry

SHAPE = (16, 16, 3)


def small(name, **arguments):
    """A narrow network for small images, not deep where that can be said."""
    depth = {"resnet_cifar": 8, "conv_mixer": 2, "vit": 2}.get(name)
    if depth:
        arguments["depth"] = depth
    return models.MODELS[name](
        input_shape=SHAPE, num_classes=4, width=0.05, **arguments
    )


@pytest.mark.parametrize("name", models.MODELS)
def test_keras_alone_can_load_it(name, tmp_path):
    """All of its layers and operations are Keras' own."""
    model = small(name)
    nodes = [node for nodes in model._nodes_by_depth.values() for node in nodes]
    for node in nodes:
        assert type(node.operation).__module__.startswith("keras.")
        assert not isinstance(node.operation, keras.layers.Lambda)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    images = np.random.default_rng(0).normal(size=(2, *SHAPE))
    np.testing.assert_array_equal(again(images), model(images))
    assert again.output_shape == (None, 4)


@pytest.mark.parametrize(
    "name",
    [n for n in models.MODELS if "initial_gamma" in registry.parameters(n)],
)
def test_scales_start_where_they_are_told(name):
    normalizations = [
        layer
        for layer in small(name, initial_gamma=0.25).layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert normalizations
    for layer in normalizations:
        np.testing.assert_array_equal(layer.gamma, 0.25)
    default = 0.5 if name == "vgg_cifar" else 1
    layer = small(name).get_layer(normalizations[-1].name)
    np.testing.assert_array_equal(layer.gamma, default)


def shapes(model):
    return [tuple(weight.shape) for weight in model.trainable_weights]


def test_mlp_is_that_of_ssl():
    """545,000 weights in three kernels."""
    model = models.mlp(batch_normalization=False)
    kernels = [(784, 500), (500, 300), (300, 10)]
    assert sum(map(np.prod, kernels)) == 545_000
    assert shapes(model) == [
        shape for kernel in kernels for shape in (kernel, kernel[1:])
    ]
    kernel = np.asarray(model.get_layer("fc1").kernel)
    assert kernel.std() == pytest.approx(np.sqrt(2 / 784), rel=0.02)


def test_mlp_of_network_slimming_has_scales():
    """After both hidden layers, whose biases they replace."""
    model = models.mlp()
    assert shapes(model) == [
        *((784, 500), (500,), (500,)),
        *((500, 300), (300,), (300,)),
        *((300, 10), (10,)),
    ]
    assert [layer.name for layer in model.layers if "_bn" in layer.name] == [
        "fc1_bn",
        "fc2_bn",
    ]


def test_lenet_5_is_that_of_caffe():
    model = models.lenet_5()
    assert shapes(model) == [
        *((5, 5, 1, 20), (20,), (5, 5, 20, 50), (50,)),
        *((800, 500), (500,), (500, 10), (10,)),
    ]
    for name in ("conv2", "fc1"):
        kernel = np.asarray(model.get_layer(name).kernel)
        limit = np.sqrt(3 / np.prod(kernel.shape[:-1]))
        assert 0.99 * limit < np.abs(kernel).max() <= limit
    relus = [x for x in model.layers if isinstance(x, keras.layers.ReLU)]
    assert [layer.name for layer in relus] == ["fc1_relu"]


def test_lenet_5_needs_images_of_some_size():
    assert models.lenet_5((16, 16, 1)).count_params() == 56_080
    with pytest.raises(ValueError, match=r"16x16 .*input_shape=\(15, 28, 1\)"):
        models.lenet_5((15, 28, 1))


def test_lstm_rows_reads_a_row_at_a_time():
    model = models.lstm_rows((5, 4, 2), 3, width=0.05)
    assert shapes(model) == [(8, 24), (6, 24), (24,), (6, 3), (3,)]
    assert models.lstm_rows().count_params() == 81_152 + 522
    # 28 steps of the LSTM, and the logits.
    macs = 28 * 512 * (28 + 128) + 1280
    assert structure.cost(models.lstm_rows()).macs == macs
    images = np.random.default_rng(0).normal(size=(1, 5, 4, 2))
    images = images.astype("float32")
    rows = model.get_layer("lstm")(images.reshape(1, 5, 8))
    np.testing.assert_array_equal(model.get_layer("fc")(rows), model(images))


@pytest.mark.parametrize("name", models.MODELS)
def test_the_penalty_is_on_every_kernel(name):
    model = small(name, l1=0.5)
    kernels = [v for v in model.trainable_variables if "kernel" in v.name]
    expected = sum(
        0.5 * np.abs(np.asarray(v, "float64")).sum() for v in kernels
    )
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)
