"""ResNet-50, the paper's network for ImageNet."""

from collections.abc import Sequence
from typing import Any

import keras

from dsr_tf.models.parts import Parts
from dsr_tf.models.parts import image_means
from dsr_tf.models.parts import relu
from dsr_tf.models.registry import register
from dsr_tf.models.width import scaled

_STEM = 64
# Channels inside of a block, blocks, stride of the first of them.
_GROUPS = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
_EXPANSION = 4


@register("resnet50", keep_dense=["^stem$", "_shortcut$"])
def resnet50(
    input_shape: Sequence[int] = (224, 224, 3),
    num_classes: int = 1000,
    width: float = 1.0,
    l1: float = 0.0,
    initial_gamma: float = 1.0,
) -> keras.Model:
    """Residual network of 50 layers, version 1.5.

    He et al. (2015) with the stride in the convolutions of 3x3, as in the
    authors' code: 25,557,032 parameters. Their masks are on the 48
    convolutions of the blocks and on the logits; the stem and the four
    shortcuts stay dense, see `dsr_tf.models.PAPER_DENSE`.

    Args:
        input_shape: Shape of an image, `(height, width, channels)`.
        num_classes: Positive integer, number of logits.
        width: Positive number; multiplies all channels, the stem's too,
            rounded, at least one.
        l1: Multiplier of the L1 penalty on the kernels, `l1 * sum(|w|)`.
        initial_gamma: Number that the scales of normalizations start from.

    Returns:
        A functional `keras.Model` from float images to float32 logits
        `(batch, num_classes)`. It is dense; see `dsr_tf.sparsify`.
    """
    parts = Parts(l1, initial_gamma)
    inputs = keras.Input(input_shape, name="image")
    x = parts.convolution(inputs, scaled(_STEM, width), 7, "stem", 2)
    x = relu(parts.normalization(x, "stem_bn"), "stem_relu")
    # Nothing is below 0 here, so zeros at the border change no maximum.
    x = keras.layers.ZeroPadding2D(1, name="stem_pool_padding")(x)
    x = keras.layers.MaxPooling2D(3, 2, name="stem_pool")(x)
    x = parts.residual_groups(x, _GROUPS, width, _block)
    outputs = parts.logits(image_means(x), num_classes)
    return keras.Model(inputs, outputs, name="resnet50")


def _block(
    parts: Parts,
    x: Any,
    channels: int,
    stride: int,
    name: str,
    has_shortcut: bool,
) -> Any:
    """1x1, 3x3 and 1x1, the last to four times the channels."""
    wide = _EXPANSION * channels
    branch = parts.convolution(x, channels, 1, f"{name}_conv1")
    branch = relu(parts.normalization(branch, f"{name}_bn1"), f"{name}_relu1")
    branch = parts.convolution(branch, channels, 3, f"{name}_conv2", stride)
    branch = relu(parts.normalization(branch, f"{name}_bn2"), f"{name}_relu2")
    branch = parts.convolution(branch, wide, 1, f"{name}_conv3")
    branch = parts.normalization(branch, f"{name}_bn3")
    if has_shortcut:
        x = parts.convolution(x, wide, 1, f"{name}_shortcut", stride)
        x = parts.normalization(x, f"{name}_shortcut_bn")
    x = keras.layers.Add(name=f"{name}_add")([x, branch])
    return relu(x, f"{name}_relu")
