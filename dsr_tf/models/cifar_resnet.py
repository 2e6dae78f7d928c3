"""The residual networks of He et al. for CIFAR-10, thin and deep."""

from collections.abc import Sequence
from typing import Any

import keras

from dsr_tf.core.checks import is_integer
from dsr_tf.models.parts import Parts
from dsr_tf.models.parts import image_means
from dsr_tf.models.parts import relu
from dsr_tf.models.registry import register
from dsr_tf.models.width import scaled

# Channels of each group, and the stride of its first block.
_GROUPS = ((16, 1), (32, 2), (64, 2))


@register("resnet_cifar", keep_dense=["^stem$", "^fc$"])
def resnet_cifar(
    depth: int = 56,
    input_shape: Sequence[int] = (32, 32, 3),
    num_classes: int = 10,
    width: float = 1.0,
    l1: float = 0.0,
    initial_gamma: float = 1.0,
) -> keras.Model:
    """Residual network of `6 n + 2` layers whose shortcuts have no weights.

    He et al. (2016), section 4.2: a stem, three groups of `n` blocks of two
    convolutions of 3x3, and the logits. Shortcuts are their option A: where
    a group begins, every other pixel is taken and channels of zeros follow
    the others. ResNet-56, which Li et al. (2017) prune, has 853,018
    parameters.

    Args:
        depth: Integer `6 n + 2`, such as 20, 32, 44, 56 or 110.
        input_shape: Shape of an image, `(height, width, channels)`.
        num_classes: Positive integer, number of logits.
        width: Positive number; multiplies all channels, the stem's too,
            rounded, at least one.
        l1: Multiplier of the L1 penalty on the kernels, `l1 * sum(|w|)`.
        initial_gamma: Number that the scales of normalizations start from.

    Returns:
        A functional `keras.Model` from float images to float32 logits
        `(batch, num_classes)`. It is dense; see `dsr_tf.sparsify`.

    Raises:
        ValueError: if there is no network of that depth.
    """
    if not is_integer(depth) or depth < 8 or depth % 6 != 2:
        raise ValueError(
            "`depth` must be 6 n + 2 for a positive integer n, such as 20, "
            f"32, 44, 56 or 110. Received: depth={depth!r}"
        )
    groups = [(channels, depth // 6, stride) for channels, stride in _GROUPS]
    parts = Parts(l1, initial_gamma)
    inputs = keras.Input(input_shape, name="image")
    x = parts.convolution(inputs, scaled(_GROUPS[0][0], width), 3, "stem")
    x = relu(parts.normalization(x, "stem_bn"), "stem_relu")
    x = parts.residual_groups(x, groups, width, _block)
    outputs = parts.logits(image_means(x), num_classes)
    return keras.Model(inputs, outputs, name=f"resnet{depth}_cifar")


def _block(
    parts: Parts,
    x: Any,
    channels: int,
    stride: int,
    name: str,
    has_shortcut: bool,
) -> Any:
    """3x3 and 3x3; what comes in is added before the second activation."""
    branch = parts.convolution(x, channels, 3, f"{name}_conv1", stride)
    branch = relu(parts.normalization(branch, f"{name}_bn1"), f"{name}_relu1")
    branch = parts.convolution(branch, channels, 3, f"{name}_conv2")
    branch = parts.normalization(branch, f"{name}_bn2")
    if has_shortcut:
        x = _shortcut(x, channels, stride, f"{name}_shortcut")
    x = keras.layers.Add(name=f"{name}_add")([x, branch])
    return relu(x, f"{name}_relu")


def _shortcut(x: Any, channels: int, stride: int, name: str) -> Any:
    """Every `stride`-th pixel of `x`, and zeros up to so many channels."""
    if stride > 1:
        x = keras.layers.AveragePooling2D(1, stride, name=name)(x)
    missing = channels - x.shape[-1]
    if missing:
        # An operation of Keras: no layer of its own adds channels.
        x = keras.ops.pad(x, ((0, 0), (0, 0), (0, 0), (0, missing)))
    return x
