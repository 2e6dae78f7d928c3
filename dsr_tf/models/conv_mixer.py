"""ConvMixer: patches, and convolutions that mix places and channels in turn."""

from collections.abc import Sequence
from typing import Any

import keras

from dsr_tf.models.parts import Parts
from dsr_tf.models.parts import image_means
from dsr_tf.models.registry import register
from dsr_tf.models.width import scaled

_FILTERS, _PATCH, _WINDOW = 256, 2, 5


@register("conv_mixer", keep_dense=["^stem$", "^fc$"])
def conv_mixer(
    depth: int = 8,
    input_shape: Sequence[int] = (32, 32, 3),
    num_classes: int = 10,
    width: float = 1.0,
    l1: float = 0.0,
) -> keras.Model:
    """ConvMixer-256/8 of patches of 2x2 and windows of 5x5.

    Trockman & Kolter (2022, arXiv 2201.09792), as keras.io's example
    "Image classification with ConvMixer" has it for CIFAR-10: 594,186
    parameters that are trained. What initializes and normalizes is Keras'
    default. Masks are on both convolutions of each block; the stem and the
    logits stay dense.

    Args:
        depth: Positive integer, number of blocks.
        input_shape: Shape of an image, `(height, width, channels)`.
        num_classes: Positive integer, number of logits.
        width: Positive number; multiplies all channels, the stem's too,
            rounded, at least one.
        l1: Multiplier of the L1 penalty on the kernels, `l1 * sum(|w|)`.

    Returns:
        A functional `keras.Model` from float images to float32 logits
        `(batch, num_classes)`. It is dense; see `dsr_tf.sparsify`.
    """
    parts = Parts(l1)
    filters = scaled(_FILTERS, width)
    inputs = keras.Input(input_shape, name="image")
    x = keras.layers.Conv2D(
        filters,
        _PATCH,
        strides=_PATCH,
        kernel_regularizer=parts.penalty(),
        name="stem",
    )(inputs)
    x = _activated(x, "stem")
    for number in range(1, depth + 1):
        x = _block(parts, x, filters, f"block{number}")
    glorot = keras.initializers.GlorotUniform()
    outputs = parts.logits(image_means(x), num_classes, glorot)
    return keras.Model(inputs, outputs, name="conv_mixer")


def _block(parts: Parts, x: Any, filters: int, name: str) -> Any:
    """Mix places, channel by channel, and add; then channels, by 1x1."""
    branch = keras.layers.DepthwiseConv2D(
        _WINDOW,
        padding="same",
        depthwise_regularizer=parts.penalty(),
        name=f"{name}_depthwise",
    )(x)
    branch = _activated(branch, f"{name}_depthwise")
    x = keras.layers.Add(name=f"{name}_add")([branch, x])
    x = keras.layers.Conv2D(
        filters,
        1,
        kernel_regularizer=parts.penalty(),
        name=f"{name}_conv",
    )(x)
    return _activated(x, f"{name}_conv")


def _activated(x: Any, name: str) -> Any:
    """GELU, and normalization after it."""
    x = keras.layers.Activation("gelu", name=f"{name}_gelu")(x)
    return keras.layers.BatchNormalization(name=f"{name}_bn")(x)
