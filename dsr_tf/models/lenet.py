"""LeNet-300-100, the paper's network for MNIST."""

from collections.abc import Sequence

import keras

from dsr_tf.models.parts import normalization
from dsr_tf.models.registry import register
from dsr_tf.models.width import scaled


@register("lenet_300_100")
def lenet_300_100(
    input_shape: Sequence[int] = (28, 28, 1),
    num_classes: int = 10,
    width: float = 1.0,
    batch_normalization: bool = True,
    l1: float = 0.0,
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

    Returns:
        A functional `keras.Model` from float inputs to logits
        `(batch, num_classes)`. It is dense; see `dsr_tf.sparsify`.
    """
    inputs = keras.Input(input_shape, name="image")
    x = keras.layers.Flatten(name="flatten")(inputs)
    for name, units in (
        ("fc1", scaled(300, width)),
        ("fc2", scaled(100, width)),
        ("fc3", num_classes),
    ):
        x = keras.layers.Dense(
            units,
            use_bias=not batch_normalization,
            kernel_initializer=keras.initializers.VarianceScaling(
                1 / 3, "fan_in", "uniform"
            ),
            kernel_regularizer=keras.regularizers.L1(l1) if l1 else None,
            name=name,
        )(x)
        if batch_normalization:
            x = normalization(x, f"{name}_bn")
        if name != "fc3":
            x = keras.layers.ReLU(name=f"{name}_relu")(x)
    outputs = keras.layers.Activation("linear", dtype="float32", name="logits")(
        x
    )
    return keras.Model(inputs, outputs, name="lenet_300_100")
