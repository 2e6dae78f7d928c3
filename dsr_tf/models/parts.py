"""Layers as the authors' networks have them."""

import dataclasses
import math
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

import keras

from dsr_tf.models.width import scaled


def uniform_fan_in() -> keras.initializers.Initializer:
    """Uniform in +-1 / sqrt(fan_in)."""
    return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")


def relu(x: Any, name: str) -> Any:
    return keras.layers.ReLU(name=name)(x)


def image_means(x: Any) -> Any:
    """The mean of each channel over the image."""
    return keras.layers.GlobalAveragePooling2D(name="pool")(x)


@dataclasses.dataclass(frozen=True)
class Parts:
    """Makes the layers of a network, alike in what its arguments say.

    Attributes:
        l1: Multiplier of the L1 penalty on the kernels, `l1 * sum(|w|)`.
        initial_gamma: Number that the scales of normalizations start from.
    """

    l1: float = 0.0
    initial_gamma: float = 1.0

    def convolution(
        self, x: Any, filters: int, size: int, name: str, stride: int = 1
    ) -> Any:
        """A convolution without bias that pads as PyTorch does.

        Weights start from N(0, 2 / (size**2 * filters)), not truncated.
        """
        x, padding = _padded(x, size, name, stride)
        return keras.layers.Conv2D(
            filters,
            size,
            strides=stride,
            padding=padding,
            use_bias=False,
            kernel_initializer=keras.initializers.VarianceScaling(
                2, "fan_out", "untruncated_normal"
            ),
            kernel_regularizer=self.penalty(),
            name=name,
        )(x)

    def depthwise_convolution(
        self, x: Any, size: int, name: str, stride: int = 1
    ) -> Any:
        """One of each channel by itself, without bias, padded alike.

        Weights start from N(0, 2 / size**2), not truncated.
        """
        x, padding = _padded(x, size, name, stride)
        return keras.layers.DepthwiseConv2D(
            size,
            strides=stride,
            padding=padding,
            use_bias=False,
            depthwise_initializer=keras.initializers.RandomNormal(
                stddev=math.sqrt(2) / size
            ),
            depthwise_regularizer=self.penalty(),
            name=name,
        )(x)

    def dense(
        self,
        x: Any,
        units: int,
        name: str,
        initializer: keras.initializers.Initializer,
        use_bias: bool = True,
    ) -> Any:
        """A fully connected layer; its biases start from 0."""
        return keras.layers.Dense(
            units,
            use_bias=use_bias,
            kernel_initializer=initializer,
            kernel_regularizer=self.penalty(),
            name=name,
        )(x)

    def normalization(self, x: Any, name: str) -> Any:
        """Batch normalization with PyTorch's constants."""
        return keras.layers.BatchNormalization(
            momentum=0.9,
            epsilon=1e-5,
            gamma_initializer=keras.initializers.Constant(self.initial_gamma),
            name=name,
        )(x)

    def logits(
        self,
        x: Any,
        num_classes: int,
        initializer: keras.initializers.Initializer | None = None,
        name: str = "fc",
    ) -> Any:
        """A layer of float32 logits, by default with `uniform_fan_in`."""
        x = self.dense(x, num_classes, name, initializer or uniform_fan_in())
        return in_float32(x)

    def residual_groups(
        self,
        x: Any,
        groups: Iterable[tuple[int, int, int]],
        width: float,
        block: Callable[..., Any],
    ) -> Any:
        """Groups of blocks; the first of each has the stride and a shortcut.

        Args:
            x: What the first block receives.
            groups: Triples of channels, number of blocks, and stride.
            width: Multiplies the channels.
            block: Function of these parts, x, channels, stride, name and
                has_shortcut.
        """
        for number, (channels, num_blocks, stride) in enumerate(groups, 1):
            for place in range(1, num_blocks + 1):
                is_first = place == 1
                x = block(
                    self,
                    x,
                    scaled(channels, width),
                    stride if is_first else 1,
                    f"group{number}_block{place}",
                    has_shortcut=is_first,
                )
        return x

    def penalty(self) -> keras.regularizers.Regularizer | None:
        return keras.regularizers.L1(self.l1) if self.l1 else None


def _padded(x: Any, size: int, name: str, stride: int) -> tuple[Any, str]:
    """What a window of that size slides over, and what padding it has left.

    There are `size // 2` zeros on every side; Keras' "same" would pad a
    stride of 2 on one side only.
    """
    if size == 1:
        return x, "valid"
    if stride == 1:
        return x, "same"
    x = keras.layers.ZeroPadding2D(size // 2, name=f"{name}_padding")(x)
    return x, "valid"


def in_float32(x: Any) -> Any:
    """The same, in float32 also with mixed precision."""
    return keras.layers.Activation("linear", dtype="float32", name="logits")(x)
