"""WRN-28-2, the paper's network for CIFAR-10."""

from collections.abc import Sequence
from typing import Any

import keras

from dsr_tf.models.parts import convolution
from dsr_tf.models.parts import logits
from dsr_tf.models.parts import normalization
from dsr_tf.models.parts import relu
from dsr_tf.models.parts import residual_groups
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

    Returns:
        A functional `keras.Model` from float images to float32 logits
        `(batch, num_classes)`. It is dense; see `dsr_tf.sparsify`.
    """
    inputs = keras.Input(input_shape, name="image")
    x = convolution(inputs, _STEM, 3, "stem", l1=l1)
    x = residual_groups(x, _GROUPS, width, _block, l1)
    x = relu(normalization(x, "bn"), "relu")
    outputs = logits(x, num_classes, l1)
    return keras.Model(inputs, outputs, name="wrn_28_2")


def _block(
    x: Any, channels: int, stride: int, name: str, l1: float, has_shortcut: bool
) -> Any:
    """Normalize, activate, convolve, twice, and add what came in.

    Where the number of channels changes, a convolution of 1x1 brings in
    what has been activated; else `x` itself is added.
    """
    branch = relu(normalization(x, f"{name}_bn1"), f"{name}_relu1")
    if has_shortcut:
        x = convolution(branch, channels, 1, f"{name}_shortcut", stride, l1)
    branch = convolution(branch, channels, 3, f"{name}_conv1", stride, l1)
    branch = relu(normalization(branch, f"{name}_bn2"), f"{name}_relu2")
    branch = convolution(branch, channels, 3, f"{name}_conv2", l1=l1)
    return keras.layers.Add(name=f"{name}_add")([x, branch])
