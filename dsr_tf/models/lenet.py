"""LeNet-300-100, the paper's network for MNIST."""

from collections.abc import Sequence

import keras

from dsr_tf.models.parts import Parts
from dsr_tf.models.parts import in_float32
from dsr_tf.models.parts import relu
from dsr_tf.models.parts import uniform_fan_in
from dsr_tf.models.registry import register
from dsr_tf.models.width import scaled


@register("lenet_300_100")
def lenet_300_100(
    input_shape: Sequence[int] = (28, 28, 1),
    num_classes: int = 10,
    width: float = 1.0,
    batch_normalization: bool = True,
    l1: float = 0.0,
    initial_gamma: float = 1.0,
) -> keras.Model:
    """Fully connected layers of 300 and 100 units and one of logits.

    Table 1 of the paper and the authors' code: 266,200 weights for MNIST in
    three kernels, all of which they make sparse; uniform initial weights in
    +-1/sqrt(fan_in). With batch normalization, it follows every layer, the
    logits too, and there are no biases.

    Args:
        input_shape: Shape of an input without the batch, flattened first.
        num_classes: Positive integer, number of logits.
        width: Positive number; multiplies the units of all layers but the
            last, rounded, at least one.
        batch_normalization: Whether to normalize; else layers have biases.
        l1: Multiplier of the L1 penalty on the kernels, `l1 * sum(|w|)`.
        initial_gamma: Number that the scales of normalizations start from.

    Returns:
        A functional `keras.Model` from float inputs to logits
        `(batch, num_classes)`. It is dense; see `dsr_tf.sparsify`.
    """
    parts = Parts(l1, initial_gamma)
    inputs = keras.Input(input_shape, name="image")
    x = keras.layers.Flatten(name="flatten")(inputs)
    for name, units in (
        ("fc1", scaled(300, width)),
        ("fc2", scaled(100, width)),
        ("fc3", num_classes),
    ):
        x = parts.dense(
            x, units, name, uniform_fan_in(), not batch_normalization
        )
        if batch_normalization:
            x = parts.normalization(x, f"{name}_bn")
        if name != "fc3":
            x = relu(x, f"{name}_relu")
    return keras.Model(inputs, in_float32(x), name="lenet_300_100")
