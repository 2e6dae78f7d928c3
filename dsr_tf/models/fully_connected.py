"""The fully connected network that SSL and Network Slimming prune."""

from collections.abc import Sequence

import keras

from dsr_tf.models.parts import Parts
from dsr_tf.models.parts import relu
from dsr_tf.models.registry import register
from dsr_tf.models.width import scaled


@register("mlp")
def mlp(
    input_shape: Sequence[int] = (28, 28, 1),
    num_classes: int = 10,
    width: float = 1.0,
    batch_normalization: bool = True,
    l1: float = 0.0,
    initial_gamma: float = 1.0,
) -> keras.Model:
    """Fully connected layers of 500 and 300 units, and the logits.

    Wen et al. (2016), section 4.1: 545,000 weights for MNIST in three
    kernels, drawn from N(0, 2 / fan_in), and biases. Network Slimming (Liu
    et al., 2017, Table 3) prunes it by the scales of batch normalization,
    which then follows both hidden layers in place of their biases.

    Args:
        input_shape: Shape of an input without the batch, flattened first.
        num_classes: Positive integer, number of logits.
        width: Positive number; multiplies the units of both hidden layers,
            rounded, at least one.
        batch_normalization: Whether to normalize; else layers have biases.
        l1: Multiplier of the L1 penalty on the kernels, `l1 * sum(|w|)`.
        initial_gamma: Number that the scales of normalizations start from.

    Returns:
        A functional `keras.Model` from float inputs to float32 logits
        `(batch, num_classes)`. It is dense; see `dsr_tf.sparsify`.
    """
    parts = Parts(l1, initial_gamma)
    inputs = keras.Input(input_shape, name="image")
    x = keras.layers.Flatten(name="flatten")(inputs)
    for name, units in (("fc1", 500), ("fc2", 300)):
        units = scaled(units, width)
        x = parts.dense(x, units, name, _he(), not batch_normalization)
        if batch_normalization:
            x = parts.normalization(x, f"{name}_bn")
        x = relu(x, f"{name}_relu")
    outputs = parts.logits(x, num_classes, _he(), "fc3")
    return keras.Model(inputs, outputs, name="mlp")


def _he() -> keras.initializers.Initializer:
    return keras.initializers.VarianceScaling(2, "fan_in", "untruncated_normal")
