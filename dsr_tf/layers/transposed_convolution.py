"""Sparse versions of Keras' transposed convolutions."""

import keras

from dsr_tf.layers.convolution import SparseConvolution
from dsr_tf.layers.kinds import masks


@masks(keras.layers.Conv1DTranspose, kernel=(-2,))
class SparseConv1DTranspose(SparseConvolution, keras.layers.Conv1DTranspose):
    """`keras.layers.Conv1DTranspose` whose kernel is `mask * weights`.

    Args:
        filters: Positive integer, number of output channels.
        kernel_size: Integer, length of the window.
        sparsity: Share of inactive weights, in [0, 1).
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"shape"`, `"input"`, `"channel"`, `"layer"`, `"block:HxW"` or
            `"N:M"`, see `dsr_tf.core.granularity`.
        seed: Integer that the mask is drawn from; None draws a fresh one.
        **kwargs: Any other argument of `keras.layers.Conv1DTranspose`.

    Input shape: `(batch, steps, channels)`.
    Output shape: `(batch, new_steps, filters)`.

    Raises:
        ValueError: if an argument is out of range.
    """


@masks(keras.layers.Conv2DTranspose, kernel=(-2,))
class SparseConv2DTranspose(SparseConvolution, keras.layers.Conv2DTranspose):
    """`keras.layers.Conv2DTranspose` whose kernel is `mask * weights`.

    Args:
        filters: Positive integer, number of output channels.
        kernel_size: Integer or pair, height and width of the window.
        sparsity: Share of inactive weights, in [0, 1).
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"shape"`, `"input"`, `"channel"`, `"layer"`, `"block:HxW"` or
            `"N:M"`, see `dsr_tf.core.granularity`.
        seed: Integer that the mask is drawn from; None draws a fresh one.
        **kwargs: Any other argument of `keras.layers.Conv2DTranspose`.

    Input shape: `(batch, height, width, channels)`.
    Output shape: `(batch, new_height, new_width, filters)`.

    Raises:
        ValueError: if an argument is out of range.
    """


@masks(keras.layers.Conv3DTranspose, kernel=(-2,))
class SparseConv3DTranspose(SparseConvolution, keras.layers.Conv3DTranspose):
    """`keras.layers.Conv3DTranspose` whose kernel is `mask * weights`.

    Args:
        filters: Positive integer, number of output channels.
        kernel_size: Integer or triple, size of the window.
        sparsity: Share of inactive weights, in [0, 1).
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"shape"`, `"input"`, `"channel"`, `"layer"`, `"block:HxW"` or
            `"N:M"`, see `dsr_tf.core.granularity`.
        seed: Integer that the mask is drawn from; None draws a fresh one.
        **kwargs: Any other argument of `keras.layers.Conv3DTranspose`.

    Input shape: `(batch, depth, height, width, channels)`.
    Output shape: `(batch, new_depth, new_height, new_width, filters)`.

    Raises:
        ValueError: if an argument is out of range.
    """
