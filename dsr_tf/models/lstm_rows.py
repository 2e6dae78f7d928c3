"""An LSTM that reads an image row by row."""

from collections.abc import Sequence

import keras

from dsr_tf.models.parts import Parts
from dsr_tf.models.registry import register
from dsr_tf.models.width import scaled


@register("lstm_rows")
def lstm_rows(
    input_shape: Sequence[int] = (28, 28, 1),
    num_classes: int = 10,
    width: float = 1.0,
    l1: float = 0.0,
) -> keras.Model:
    """One LSTM of 128 units over the rows of an image, and the logits.

    81,152 weights for MNIST in three kernels, and 522 biases: a row of
    pixels is a step of the sequence, as Le et al. (2015, arXiv 1504.00941)
    have single pixels. For methods that prune recurrent networks (Narang et
    al., 2017).

    Args:
        input_shape: Shape of an image, `(height, width, channels)`.
        num_classes: Positive integer, number of logits.
        width: Positive number; multiplies the units of the LSTM, rounded, at
            least one.
        l1: Multiplier of the L1 penalty on the kernels, `l1 * sum(|w|)`.

    Returns:
        A functional `keras.Model` from float images to float32 logits
        `(batch, num_classes)`. It is dense; see `dsr_tf.sparsify`.
    """
    parts = Parts(l1)
    height, *row = input_shape
    inputs = keras.Input(input_shape, name="image")
    x = keras.layers.Reshape((height, row[0] * row[1]), name="rows")(inputs)
    x = keras.layers.LSTM(
        scaled(128, width),
        kernel_regularizer=parts.penalty(),
        recurrent_regularizer=parts.penalty(),
        name="lstm",
    )(x)
    outputs = parts.logits(x, num_classes)
    return keras.Model(inputs, outputs, name="lstm_rows")
