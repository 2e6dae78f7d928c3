"""LeNet-5 as Caffe has it, for MNIST."""

from collections.abc import Sequence
from typing import Any

import keras

from dsr_tf.models.parts import Parts
from dsr_tf.models.parts import relu
from dsr_tf.models.registry import register
from dsr_tf.models.width import scaled

# Two convolutions of 5x5, each with a pooling after it, need as much.
_LEAST_SIZE = 16


@register("lenet_5")
def lenet_5(
    input_shape: Sequence[int] = (28, 28, 1),
    num_classes: int = 10,
    width: float = 1.0,
    l1: float = 0.0,
) -> keras.Model:
    """Convolutions of 20 and 50 channels, 500 units, and the logits.

    Caffe's `examples/mnist/lenet`, which Wen et al. (2016) and Han et al.
    (2016) prune: 430,500 weights and 580 biases for MNIST. Only the 500
    units have an activation. Weights start uniform in +-sqrt(3 / fan_in),
    biases from 0.

    Args:
        input_shape: Shape of an image, `(height, width, channels)`, of at
            least 16x16 pixels.
        num_classes: Positive integer, number of logits.
        width: Positive number; multiplies all channels and units, rounded,
            at least one.
        l1: Multiplier of the L1 penalty on the kernels, `l1 * sum(|w|)`.

    Returns:
        A functional `keras.Model` from float images to float32 logits
        `(batch, num_classes)`. It is dense; see `dsr_tf.sparsify`.

    Raises:
        ValueError: if images are too small.
    """
    if min(input_shape[:2]) < _LEAST_SIZE:
        raise ValueError(
            f"Images of lenet_5 must have at least {_LEAST_SIZE}x{_LEAST_SIZE} "
            f"pixels. Received: input_shape={tuple(input_shape)}"
        )
    parts = Parts(l1)
    inputs = keras.Input(input_shape, name="image")
    x = _convolution(parts, inputs, scaled(20, width), "conv1")
    x = _convolution(parts, x, scaled(50, width), "conv2")
    x = keras.layers.Flatten(name="flatten")(x)
    x = parts.dense(x, scaled(500, width), "fc1", _xavier())
    x = relu(x, "fc1_relu")
    outputs = parts.logits(x, num_classes, _xavier(), "fc2")
    return keras.Model(inputs, outputs, name="lenet_5")


def _convolution(parts: Parts, x: Any, filters: int, name: str) -> Any:
    """5x5 without padding, and the largest of every 2x2."""
    x = keras.layers.Conv2D(
        filters,
        5,
        kernel_initializer=_xavier(),
        kernel_regularizer=parts.penalty(),
        name=name,
    )(x)
    return keras.layers.MaxPooling2D(2, name=f"{name}_pool")(x)


def _xavier() -> keras.initializers.Initializer:
    return keras.initializers.VarianceScaling(1, "fan_in", "uniform")
