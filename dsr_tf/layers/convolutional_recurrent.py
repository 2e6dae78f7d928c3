"""Sparse versions of Keras' convolutional LSTMs."""

import sys

import keras

from dsr_tf.layers.kinds import holds_masked
from dsr_tf.layers.kinds import masks
from dsr_tf.layers.masked import Masked
from dsr_tf.layers.recurrent import SparseRecurrent

# The cell of all three has no public name; it is beside their base. (To make
# such a layer and look would start TensorFlow's devices upon import.)
_base = keras.layers.ConvLSTM2D.__base__
_ConvLSTMCell: type = sys.modules[_base.__module__].ConvLSTMCell


@masks(_ConvLSTMCell, kernel=(-1,), recurrent_kernel=(-1,))
class SparseConvLSTMCell(Masked, _ConvLSTMCell):
    """The cell of `keras.layers.ConvLSTM2D` with two masked kernels."""


@holds_masked(keras.layers.ConvLSTM1D)
class SparseConvLSTM1D(SparseRecurrent, keras.layers.ConvLSTM1D):
    """`keras.layers.ConvLSTM1D` whose two kernels are masked.

    Args: as `SparseConvLSTM2D`, with a window of one length.

    Input shape: `(batch, steps, length, channels)`.
    """


@holds_masked(keras.layers.ConvLSTM2D)
class SparseConvLSTM2D(SparseRecurrent, keras.layers.ConvLSTM2D):
    """`keras.layers.ConvLSTM2D` whose two kernels are masked.

    Args:
        filters: Positive integer, number of output channels.
        kernel_size: Integer or pair, height and width of the window.
        sparsity: Share of inactive weights, in [0, 1); or a dict with
            the keys `"kernel"` and `"recurrent_kernel"`.
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"shape"`, `"input"`, `"channel"`, `"layer"` or `"block:HxW"`,
            see `dsr_tf.core.granularity`.
        seed: Integer that masks are drawn from, and which units drop out;
            None draws a fresh one.
        **kwargs: Any other argument of `keras.layers.ConvLSTM2D`.

    Input shape: `(batch, steps, height, width, channels)`.
    Output shape: `(batch, new_height, new_width, filters)`; with steps
        after the batch with `return_sequences`.

    Raises:
        ValueError: if an argument is out of range.
    """


@holds_masked(keras.layers.ConvLSTM3D)
class SparseConvLSTM3D(SparseRecurrent, keras.layers.ConvLSTM3D):
    """`keras.layers.ConvLSTM3D` whose two kernels are masked.

    Args: as `SparseConvLSTM2D`, with a window of three lengths.

    Input shape: `(batch, steps, depth, height, width, channels)`.
    """
