"""MobileNet, in the form that LiteRT's sparse kernels take."""

from collections.abc import Sequence

import keras

from dsr_tf.models.parts import Parts
from dsr_tf.models.parts import image_means
from dsr_tf.models.parts import relu
from dsr_tf.models.registry import register
from dsr_tf.models.width import scaled

_STEM = 32
# Channels that each block makes, and the stride of its 3x3.
_BLOCKS = (
    ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2))
    + 5 * ((512, 1),)
    + ((1024, 2), (1024, 1))
)


@register("mobilenet", keep_dense=["^stem$", "_depthwise$", "^fc$"])
def mobilenet(
    input_shape: Sequence[int] = (224, 224, 3),
    num_classes: int = 1000,
    width: float = 1.0,
    l1: float = 0.0,
    initial_gamma: float = 1.0,
) -> keras.Model:
    """Thirteen blocks of a depthwise convolution and one of 1x1.

    Howard et al. (2017), "MobileNets", Table 1: 4,231,976 parameters. As in
    Elsen et al. (2020), "Fast Sparse ConvNets", masks are on the convolutions
    of 1x1, which hold three quarters of them; the stem, depthwise convolutions
    and logits stay dense. Zeros stand on both sides of all that is 3x3, which
    is what XNNPACK's sparse kernels take, see docs/export.md.

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
    x = parts.convolution(inputs, scaled(_STEM, width), 3, "stem", 2)
    x = relu(parts.normalization(x, "stem_bn"), "stem_relu")
    for number, (channels, stride) in enumerate(_BLOCKS, 1):
        name = f"block{number}"
        x = parts.depthwise_convolution(x, 3, f"{name}_depthwise", stride)
        x = parts.normalization(x, f"{name}_depthwise_bn")
        x = relu(x, f"{name}_depthwise_relu")
        x = parts.convolution(x, scaled(channels, width), 1, f"{name}_conv")
        x = relu(parts.normalization(x, f"{name}_bn"), f"{name}_relu")
    outputs = parts.logits(image_means(x), num_classes)
    return keras.Model(inputs, outputs, name="mobilenet")
