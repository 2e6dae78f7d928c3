"""Layers as the authors' convolutional networks have them."""

from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

import keras

from dsr_tf.models.width import scaled


def convolution(
    x: Any, filters: int, size: int, name: str, stride: int = 1, l1: float = 0.0
) -> Any:
    """A convolution without bias that pads as PyTorch does.

    Padding is `size // 2` on every side; Keras' "same" would pad a stride
    of 2 on one side only. Weights start from N(0, 2 / (size**2 * filters)),
    not truncated.
    """
    padding = "valid" if size == 1 else "same"
    if stride > 1 and size > 1:
        x = keras.layers.ZeroPadding2D(size // 2, name=f"{name}_padding")(x)
        padding = "valid"
    return keras.layers.Conv2D(
        filters,
        size,
        strides=stride,
        padding=padding,
        use_bias=False,
        kernel_initializer=keras.initializers.VarianceScaling(
            2, "fan_out", "untruncated_normal"
        ),
        kernel_regularizer=keras.regularizers.L1(l1) if l1 else None,
        name=name,
    )(x)


def normalization(x: Any, name: str) -> Any:
    """Batch normalization with PyTorch's constants."""
    return keras.layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, name=name
    )(x)


def relu(x: Any, name: str) -> Any:
    return keras.layers.ReLU(name=name)(x)


def residual_groups(
    x: Any,
    groups: Iterable[tuple[int, int, int]],
    width: float,
    block: Callable[..., Any],
    l1: float,
) -> Any:
    """Groups of blocks; the first of each has the stride and a shortcut.

    Args:
        groups: Triples of channels, number of blocks, and stride.
        width: Multiplies the channels.
        block: Function of x, channels, stride, name, l1, has_shortcut.
    """
    for number, (channels, num_blocks, stride) in enumerate(groups, 1):
        for place in range(1, num_blocks + 1):
            is_first = place == 1
            x = block(
                x,
                scaled(channels, width),
                stride if is_first else 1,
                f"group{number}_block{place}",
                l1,
                has_shortcut=is_first,
            )
    return x


def logits(x: Any, num_classes: int, l1: float = 0.0) -> Any:
    """Means over the image, and a layer of float32 logits on top.

    Its weights start from the uniform distribution in +-1 / sqrt(fan_in),
    its biases from 0.
    """
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dense(
        num_classes,
        kernel_initializer=keras.initializers.VarianceScaling(
            1 / 3, "fan_in", "uniform"
        ),
        kernel_regularizer=keras.regularizers.L1(l1) if l1 else None,
        name="fc",
    )(x)
    return keras.layers.Activation("linear", dtype="float32", name="logits")(x)
