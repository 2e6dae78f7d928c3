"""VGG-16 and VGG-19 for CIFAR-10, as those who prune channels have them."""

import itertools
from collections.abc import Sequence

import keras

from dsr_tf.models.parts import Parts
from dsr_tf.models.parts import image_means
from dsr_tf.models.parts import relu
from dsr_tf.models.registry import register
from dsr_tf.models.width import scaled

# Channels of each group of convolutions.
_CHANNELS = (64, 128, 256, 512, 512)
# By depth: convolutions of each group, units of a layer before the logits.
_NETWORKS = {16: ((2, 2, 3, 3, 3), 512), 19: ((2, 2, 4, 4, 4), None)}


@register("vgg_cifar", keep_dense=["^conv1$", "^fc$"])
def vgg_cifar(
    depth: int = 16,
    input_shape: Sequence[int] = (32, 32, 3),
    num_classes: int = 10,
    width: float = 1.0,
    l1: float = 0.0,
    initial_gamma: float = 0.5,
) -> keras.Model:
    """Convolutions of 3x3 with batch normalization, pooled after each group.

    VGG-16 is that of Li et al. (2017): a layer of 512 units is before the
    logits, 14,987,722 parameters. VGG-19 is that of Network Slimming (Liu et
    al., 2017): the logits come right after the 16 convolutions, 20,035,018
    parameters. Convolutions have no biases.

    Args:
        depth: 16 or 19.
        input_shape: Shape of an image, `(height, width, channels)`.
        num_classes: Positive integer, number of logits.
        width: Positive number; multiplies all channels and units, rounded,
            at least one.
        l1: Multiplier of the L1 penalty on the kernels, `l1 * sum(|w|)`.
        initial_gamma: Number that the scales of normalizations start from;
            0.5 as in Network Slimming.

    Returns:
        A functional `keras.Model` from float images to float32 logits
        `(batch, num_classes)`. It is dense; see `dsr_tf.sparsify`.

    Raises:
        ValueError: if there is no network of that depth.
    """
    if depth not in _NETWORKS:
        raise ValueError(
            f"`depth` must be one of {', '.join(map(str, _NETWORKS))}. "
            f"Received: depth={depth!r}"
        )
    num_convolutions, hidden = _NETWORKS[depth]
    parts = Parts(l1, initial_gamma)
    inputs = x = keras.Input(input_shape, name="image")
    names = (f"conv{number}" for number in itertools.count(1))
    for group, channels in enumerate(_CHANNELS):
        if group:
            # "same" keeps the last pixel of images below 16x16.
            x = keras.layers.MaxPooling2D(
                2, padding="same", name=f"pool{group}"
            )(x)
        for name in itertools.islice(names, num_convolutions[group]):
            x = parts.convolution(x, scaled(channels, width), 3, name)
            x = relu(parts.normalization(x, f"{name}_bn"), f"{name}_relu")
    x = image_means(x)
    if hidden:
        x = parts.dense(x, scaled(hidden, width), "hidden", _narrow())
        x = relu(parts.normalization(x, "hidden_bn"), "hidden_relu")
    outputs = parts.logits(x, num_classes, _narrow())
    return keras.Model(inputs, outputs, name=f"vgg{depth}_cifar")


def _narrow() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=0.01)
