"""ConvMixer and the vision transformer: counts, patches, what has masks."""

import types

import keras
import numpy as np
import pytest

from dsr_tf import models
from dsr_tf import structure
from dsr_tf.recipes.network import Network
from tests.models.test_convolutional import sparse_summary


def test_conv_mixer_has_two_masks_a_block():
    summary = sparse_summary("conv_mixer", 0.9)
    stem, logits = 12 * 256 + 256, 256 * 10 + 10
    depthwise, pointwise, scales = 25 * 256, 256 * 256, 4 * 256
    block = depthwise + pointwise + 2 * 256 + scales
    assert summary.num_parameters == stem + 512 + 8 * block + logits == 594_186
    assert len(summary.layers) == 16
    assert summary.num_masked == 8 * (depthwise + pointwise)
    macs = 16 * 16 * (12 * 256 + 8 * (depthwise + pointwise)) + 2560
    assert structure.cost(models.conv_mixer()).macs == macs


def test_a_block_of_conv_mixer():
    """What mixes places is added to; what mixes channels is not."""
    model = models.conv_mixer(1, (8, 8, 3), width=0.02)
    gelu = keras.activations.gelu
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3))

    def part(x, name):
        x = gelu(model.get_layer(name)(x))
        return model.get_layer(f"{name}_bn")(x, training=False)

    x = part(images.astype("float32"), "stem")
    assert x.shape == (2, 4, 4, 5)
    x = part(x, "block1_depthwise") + x
    x = part(x, "block1_conv")
    logits = model.get_layer("fc")(keras.ops.mean(x, (1, 2)))
    np.testing.assert_allclose(logits, model(images), rtol=1e-5, atol=1e-6)


def test_vit_has_six_masks_a_block():
    summary = sparse_summary("vit", 0.9)
    patches, logits = (48 + 64) * 192, 192 * 10 + 10
    masked = 4 * 192 * 192 + 2 * 192 * 768
    block = masked + 4 * 192 + 768 + 192 + 4 * 192
    assert summary.num_parameters == patches + 6 * block + 384 + logits
    assert summary.num_parameters == 2_693_002
    assert len(summary.layers) == 36
    assert summary.num_masked == 6 * masked
    # Queries by keys, and what they give by values.
    products = 2 * 64 * 64 * 192
    whole = 64 * 48 * 192 + 6 * (64 * masked + products) + 1920
    assert summary.num_macs == whole
    inactive = summary.num_masked - summary.num_active
    assert summary.num_active_macs == whole - 64 * inactive


def test_what_kernels_give_includes_attention():
    """Memory has to hold it for the gradient."""
    experiment = types.SimpleNamespace(model="vit", depth=2)
    network = Network(experiment, (8, 8, 3), 10)
    block = 4 * (3 + 1 + 4 + 1) * 192
    assert network.num_outputs(1.0) == 4 * 192 + 2 * block + 10


def test_a_token_is_a_patch_and_its_position():
    model = models.vit(1, (8, 12, 3), width=0.05)
    layer = model.get_layer("patches")
    images = np.random.default_rng(0).normal(size=(2, 8, 12, 3))
    # The second of the lower row.
    patch = images[:, 4:8, 4:8].reshape(2, 48)
    expected = patch @ np.asarray(layer.kernel) + np.asarray(layer.bias)[4]
    tokens = keras.Model(model.input, layer.output)(images)
    assert tokens.shape == (2, 6, 9)
    np.testing.assert_allclose(tokens[:, 4], expected, rtol=1e-4, atol=1e-6)
    # Positions differ, as kernels do, also those of one block.
    assert np.asarray(layer.bias).std(axis=0).min() > 0
    attention = model.get_layer("block1_attention")
    first, second = attention.query_dense.kernel, attention.key_dense.kernel
    assert not np.array_equal(first, second)


def test_vit_needs_whole_patches():
    with pytest.raises(ValueError, match=r"input_shape=\(30, 32, 3\)"):
        models.vit(input_shape=(30, 32, 3))
