"""WRN-28-2 and ResNet-50: counts, initial weights, padding."""

import re

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import models
from dsr_tf.models.parts import Parts


def sparse_summary(name, sparsity, sparse_shortcuts=False, width=1.0):
    kept = [
        pattern
        for pattern in models.PAPER_DENSE[name]
        if not (sparse_shortcuts and "shortcut" in pattern)
    ]
    model = dsr_tf.sparsify(
        models.MODELS[name](width=width),
        sparsity,
        filters=lambda layer: not any(re.search(p, layer.name) for p in kept),
        seed=0,
    )
    return dsr_tf.sparsity_summary(model)


@pytest.mark.parametrize(
    "sparsity, active",
    [
        (0.9, 161_242),
        pytest.param(0.8, 306_394, marks=pytest.mark.slow),
        pytest.param(0.5, 741_850, marks=pytest.mark.slow),
    ],
)
def test_active_parameters_of_wrn_28_2(sparsity, active):
    """As many as in the authors' runs, exactly."""
    summary = sparse_summary("wrn_28_2", sparsity)
    assert summary.num_parameters == 1_467_610
    assert len(summary.layers) == 24
    assert summary.num_masked == 1_451_520
    assert all(layer.shape[:2] == (3, 3) for layer in summary.layers)
    assert summary.num_active == round((1 - sparsity) * 1_451_520)
    assert summary.num_active_parameters == active


@pytest.mark.parametrize(
    "sparsity, active",
    [
        (0.9, 5_104_885),
        pytest.param(0.8, 7_377_346, marks=pytest.mark.slow),
    ],
)
def test_active_parameters_of_resnet50(sparsity, active):
    """As many as in the authors' runs: 20.0 % and 28.9 % of 25,557,032."""
    summary = sparse_summary("resnet50", sparsity)
    assert summary.num_parameters == 25_557_032
    assert len(summary.layers) == 49
    assert summary.num_masked == 22_724_608
    assert summary.num_active_parameters == active


def test_sparse_shortcuts():
    wrn = sparse_summary("wrn_28_2", 0.9, True, width=0.1)
    assert len(wrn.layers) == 27
    resnet = sparse_summary("resnet50", 0.9, True, width=0.1)
    assert len(resnet.layers) == 53


@pytest.mark.parametrize(
    "width, num_parameters",
    [(0.75, 209_130), (0.98, 356_632), (1.15, 491_845), (1.47, 795_477)],
)
def test_thin_wrn(width, num_parameters):
    """The authors' thin networks; their width is 2 where ours is 1."""
    model = models.wrn_28_2(width=width / 2)
    assert dsr_tf.sparsity_summary(model).num_parameters == num_parameters


def test_thin_resnet():
    model = models.resnet50(width=0.5)
    assert model.get_layer("stem").filters == 32
    assert model.get_layer("group4_block3_conv3").filters == 1024


@pytest.mark.parametrize("name", ["wrn_28_2", "resnet50"])
def test_initial_weights(name):
    model = models.MODELS[name]()
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel = np.asarray(layer.kernel)
            height, width, _, filters = kernel.shape
            deviation = np.sqrt(2 / (height * width * filters))
            error = 4 / np.sqrt(2 * kernel.size)
            assert kernel.std() == pytest.approx(deviation, rel=error)
            assert layer.bias is None
    # Not truncated: of so many numbers some are beyond three deviations.
    assert (np.abs(kernel) > 3 * deviation).any()
    logits = model.get_layer("fc")
    limit = 1 / np.sqrt(logits.kernel.shape[0])
    assert 0.95 * limit < np.abs(logits.kernel).max() <= limit
    assert not np.any(logits.bias)


@pytest.mark.parametrize("size, stride", [(3, 1), (3, 2), (7, 2), (1, 2)])
@pytest.mark.parametrize("is_depthwise", [False, True])
def test_padding_is_the_same_on_every_side(size, stride, is_depthwise):
    """An output is a sum over the padded image, at multiples of the stride."""
    inputs, parts = keras.Input((8, 8, 1)), Parts()
    if is_depthwise:
        outputs = parts.depthwise_convolution(inputs, size, "conv", stride)
    else:
        outputs = parts.convolution(inputs, 1, size, "conv", stride)
    model = keras.Model(inputs, outputs)
    image = np.random.default_rng(0).normal(size=(8, 8)).astype("float32")
    (output,) = model.predict_on_batch(image[None, :, :, None])[..., 0]
    kernel = np.asarray(model.get_layer("conv").kernel)[..., 0, 0]
    padded = np.pad(image, size // 2)
    expected = [
        [
            np.sum(kernel * padded[i : i + size, j : j + size])
            for j in range(0, 8, stride)
        ]
        for i in range(0, 8, stride)
    ]
    np.testing.assert_allclose(output, expected, atol=1e-5)


def test_shapes_inside_of_wrn():
    """Strides are where they belong."""
    wrn = models.wrn_28_2()
    assert wrn.get_layer("group1_block4_add").output.shape == (None, 32, 32, 32)
    assert wrn.get_layer("relu").output.shape == (None, 8, 8, 128)


def test_shapes_and_constants_inside_of_resnet():
    resnet = models.resnet50()
    for name, shape in (
        ("stem_pool", (None, 56, 56, 64)),
        # Version 1.5: the first convolution of a block has stride 1.
        ("group2_block1_conv1", (None, 56, 56, 128)),
        ("group2_block1_conv2", (None, 28, 28, 128)),
        ("group4_block3_relu", (None, 7, 7, 2048)),
    ):
        assert resnet.get_layer(name).output.shape == shape
    for layer in resnet.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            assert (layer.momentum, layer.epsilon) == (0.9, 1e-5)
