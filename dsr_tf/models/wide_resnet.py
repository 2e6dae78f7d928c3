"""WRN-28-2, the paper's network for CIFAR-10."""

from collections.abc import Sequence
from typing import Any

import keras

from dsr_tf.models.parts import Parts
from dsr_tf.models.parts import image_means
from dsr_tf.models.parts import relu
from dsr_tf.models.registry import register

_STEM = 16
# Channels of a block, blocks, stride of the first of them.
_GROUPS = ((32, 4, 1), (64, 4, 2), (128, 4, 2))


@register("wrn_28_2", keep_dense=["^stem$", "_shortcut$", "^fc$"])
def wrn_28_2(
    input_shape: Sequence[int] = (32, 32, 3),
    num_classes: int = 10,
    width: float = 1.0,
    l1: float = 0.0,
    initial_gamma: float = 1.0,
) -> keras.Model:
    """Wide residual network of 28 layers, twice as wide as the thinnest.

    Zagoruyko & Komodakis (2016) as in the authors' code: 1,467,610
    parameters. Their masks are on the 24 convolutions of 3x3 in the blocks;
    the stem, the three shortcuts of 1x1 and the logits stay dense, see
    `dsr_tf.models.PAPER_DENSE`.

    Args:
        input_shape: Shape of an image, `(height, width, channels)`.
        num_classes: Positive integer, number of logits.
        width: Positive number; multiplies the channels of all blocks,
            rounded, at least one. The 16 of the stem stay.
        l1: Multiplier of the L1 penalty on the kernels, `l1 * sum(|w|)`.
        initial_gamma: Number that the scales of normalizations start from.

    Returns:
        A functional `keras.Model` from float images to float32 logits
        `(batch, num_classes)`. It is dense; see `dsr_tf.sparsify`.
    """
    parts = Parts(l1, initial_gamma)
    inputs = keras.Input(input_shape, name="image")
    x = parts.convolution(inputs, _STEM, 3, "stem")
    x = parts.residual_groups(x, _GROUPS, width, _block)
    x = relu(parts.normalization(x, "bn"), "relu")
    outputs = parts.logits(image_means(x), num_classes)
    return keras.Model(inputs, outputs, name="wrn_28_2")


def _block(
    parts: Parts,
    x: Any,
    channels: int,
    stride: int,
    name: str,
    has_shortcut: bool,
) -> Any:
    """Normalize, activate, convolve, twice, and add what came in.

    Where the number of channels changes, a convolution of 1x1 brings in
    what has been activated; else `x` itself is added.
    """
    branch = relu(parts.normalization(x, f"{name}_bn1"), f"{name}_relu1")
    if has_shortcut:
        x = parts.convolution(branch, channels, 1, f"{name}_shortcut", stride)
    branch = parts.convolution(branch, channels, 3, f"{name}_conv1", stride)
    branch = relu(parts.normalization(branch, f"{name}_bn2"), f"{name}_relu2")
    branch = parts.convolution(branch, channels, 3, f"{name}_conv2")
    return keras.layers.Add(name=f"{name}_add")([x, branch])
