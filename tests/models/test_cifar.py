"""ResNets and VGG nets for CIFAR-10: counts, shortcuts, initial weights."""

import types

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import models
from dsr_tf.models.width import find_width
from dsr_tf.recipes.network import Network


def num_parameters(model):
    return sum(v.size for v in map(np.asarray, model.trainable_variables))


@pytest.mark.parametrize(
    "depth, expected",
    [(20, 269_722), (32, 464_154), (56, 853_018)],
)
def test_parameters_of_resnet_cifar(depth, expected):
    """He et al. print 0.27, 0.46 and 0.85 million."""
    model = models.resnet_cifar(depth)
    assert num_parameters(model) == expected
    assert sum(hasattr(layer, "kernel") for layer in model.layers) == depth


@pytest.mark.parametrize(
    "depth, num_kernels, expected",
    [(16, 15, 14_987_722), (19, 17, 20_035_018)],
)
def test_parameters_of_vgg_cifar(depth, num_kernels, expected):
    """VGG-16 of Li et al., VGG-19 of Network Slimming."""
    model = models.vgg_cifar(depth)
    assert num_parameters(model) == expected
    kernels = [layer for layer in model.layers if hasattr(layer, "kernel")]
    assert len(kernels) == num_kernels
    # Before the last means of the image.
    assert model.get_layer("pool").input.shape == (None, 2, 2, 512)


@pytest.mark.parametrize(
    "model, depth", [("resnet_cifar", d) for d in (2, 21, 20.0, True)]
)
def test_depths_of_resnet_cifar(model, depth):
    with pytest.raises(ValueError, match=r"`depth` must be 6 n \+ 2 .*depth="):
        models.MODELS[model](depth)


def test_depths_of_vgg_cifar():
    with pytest.raises(ValueError, match="one of 16, 19. Received: depth=17"):
        models.vgg_cifar(17)


@pytest.mark.parametrize("width, missing", [(1, 16), (0.98, 15), (0.01, 0)])
def test_shortcuts_have_no_weights(width, missing):
    """Every other pixel, and zeros in place of new channels."""
    model = models.resnet_cifar(8, (9, 7, 3), width=width)
    added = model.get_layer("group2_block1_add").input[0]
    before = model.get_layer("group1_block1_relu").output
    images = np.random.default_rng(0).normal(size=(2, 9, 7, 3))
    ours, x = keras.Model(model.inputs[0], [added, before])(images)
    expected = np.pad(x, [(0, 0)] * 3 + [(0, missing)])[:, ::2, ::2]
    np.testing.assert_array_equal(ours, expected)
    # In the first group what comes in is added as it is.
    first = model.get_layer("group1_block1_add").input[0]
    assert first is model.get_layer("stem_relu").output


def test_a_thin_resnet_keeps_to_a_budget():
    """Zeros of the shortcuts go along with every width."""
    experiment = types.SimpleNamespace(model="resnet_cifar", depth=8)
    network = Network(experiment, (8, 8, 3), 10)
    width = find_width(network.num_parameters, 20_000)
    assert 19_000 < num_parameters(network.build(width)) <= 20_000


def test_resnet_activates_after_the_sum():
    model = models.resnet_cifar(8, (8, 8, 3))
    relu = model.get_layer("group3_block1_relu")
    assert relu.input is model.get_layer("group3_block1_add").output
    assert model.get_layer("pool").input is relu.output
    assert relu.output.shape == (None, 2, 2, 64)


def test_initial_weights_of_resnet():
    kernel = np.asarray(
        models.resnet_cifar(8).get_layer("group3_block1_conv2").kernel
    )
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 64)), rel=0.03)


def test_initial_weights_of_vgg():
    model = models.vgg_cifar(16)
    kernel = np.asarray(model.get_layer("conv6").kernel)
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 256)), rel=0.03)
    for name in ("hidden", "fc"):
        kernel = np.asarray(model.get_layer(name).kernel)
        assert kernel.std() == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("size", [8, 32])
def test_vgg_takes_images_of_any_size(size):
    model = models.vgg_cifar(19, (size, size, 1), 7, width=0.05)
    assert model(np.zeros((3, size, size, 1))).shape == (3, 7)
    assert model.get_layer("conv1").filters == 3
    assert model.get_layer("conv16").filters == 26


@pytest.mark.parametrize(
    "name, num_masked, dense",
    [("resnet_cifar", 6, ["stem", "fc"]), ("vgg_cifar", 13, ["conv1", "fc"])],
)
def test_layers_that_stay_dense(name, num_masked, dense):
    depth = {"resnet_cifar": 8, "vgg_cifar": 16}[name]
    model = models.MODELS[name](depth, (8, 8, 3), width=0.1)
    sparse = dsr_tf.sparsify(
        model,
        0.5,
        filters=lambda layer: (
            layer.name
            not in [pattern.strip("^$") for pattern in models.PAPER_DENSE[name]]
        ),
        seed=0,
    )
    summary = dsr_tf.sparsity_summary(sparse)
    assert len(summary.layers) == num_masked
    masked = {layer.path.split("/")[0] for layer in summary.layers}
    assert masked.isdisjoint(dense)
    assert masked | set(dense) == {
        layer.name for layer in model.layers if hasattr(layer, "kernel")
    }
