"""Sparse versions of Keras' convolutions.

Each is Keras' own layer; shapes, strides, padding and data formats are those
of the layer it is named after. A masked convolution runs dense on every
device: it saves weights, not time.
"""

import keras

from dsr_tf.layers.masked import MaskedKernel
from dsr_tf.layers.masked import StoredKernel


class _SparseConvolution(MaskedKernel):
    """The arguments that all convolutions with filters share."""

    def __init__(
        self,
        filters,
        kernel_size,
        sparsity=0.9,
        granularity="element",
        seed=None,
        **kwargs,
    ):
        super().__init__(
            filters,
            kernel_size,
            sparsity=sparsity,
            granularity=granularity,
            seed=seed,
            **kwargs,
        )


@keras.saving.register_keras_serializable(package="dsr_tf")
class SparseConv1D(_SparseConvolution, keras.layers.Conv1D):
    """`keras.layers.Conv1D` whose kernel is `mask * weights`.

    Args:
        filters: Positive integer, number of output channels.
        kernel_size: Integer, length of the window.
        sparsity: Share of inactive weights, in [0, 1).
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"channel"` or `"block:HxW"`, see `dsr_tf.core.granularity`.
        seed: Integer that the mask is drawn from; None draws a fresh one.
        **kwargs: Any other argument of `keras.layers.Conv1D`.

    Input shape: `(batch, steps, channels)`.
    Output shape: `(batch, new_steps, filters)`.
    """


@keras.saving.register_keras_serializable(package="dsr_tf")
class SparseConv2D(_SparseConvolution, keras.layers.Conv2D):
    """`keras.layers.Conv2D` whose kernel is `mask * weights`.

    Args:
        filters: Positive integer, number of output channels.
        kernel_size: Integer or pair, height and width of the window.
        sparsity: Share of inactive weights, in [0, 1).
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"channel"` or `"block:HxW"`, see `dsr_tf.core.granularity`.
        seed: Integer that the mask is drawn from; None draws a fresh one.
        **kwargs: Any other argument of `keras.layers.Conv2D`.

    Input shape: `(batch, height, width, channels)`.
    Output shape: `(batch, new_height, new_width, filters)`.
    """


@keras.saving.register_keras_serializable(package="dsr_tf")
class SparseConv3D(_SparseConvolution, keras.layers.Conv3D):
    """`keras.layers.Conv3D` whose kernel is `mask * weights`.

    Args:
        filters: Positive integer, number of output channels.
        kernel_size: Integer or triple, size of the window.
        sparsity: Share of inactive weights, in [0, 1).
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"channel"` or `"block:HxW"`, see `dsr_tf.core.granularity`.
        seed: Integer that the mask is drawn from; None draws a fresh one.
        **kwargs: Any other argument of `keras.layers.Conv3D`.

    Input shape: `(batch, depth, height, width, channels)`.
    Output shape: `(batch, new_depth, new_height, new_width, filters)`.
    """


@keras.saving.register_keras_serializable(package="dsr_tf")
class SparseConv2DTranspose(
    _SparseConvolution, StoredKernel, keras.layers.Conv2DTranspose
):
    """`keras.layers.Conv2DTranspose` whose kernel is `mask * weights`.

    Args:
        filters: Positive integer, number of output channels.
        kernel_size: Integer or pair, height and width of the window.
        sparsity: Share of inactive weights, in [0, 1).
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"channel"` or `"block:HxW"`, see `dsr_tf.core.granularity`.
        seed: Integer that the mask is drawn from; None draws a fresh one.
        **kwargs: Any other argument of `keras.layers.Conv2DTranspose`.

    Input shape: `(batch, height, width, channels)`.
    Output shape: `(batch, new_height, new_width, filters)`.
    """

    _channel_axes = (-2,)


@keras.saving.register_keras_serializable(package="dsr_tf")
class SparseDepthwiseConv2D(
    MaskedKernel, StoredKernel, keras.layers.DepthwiseConv2D
):
    """`keras.layers.DepthwiseConv2D` whose kernel is `mask * weights`.

    Args:
        kernel_size: Integer or pair, height and width of the window.
        sparsity: Share of inactive weights, in [0, 1).
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"channel"` or `"block:HxW"`, see `dsr_tf.core.granularity`.
        seed: Integer that the mask is drawn from; None draws a fresh one.
        **kwargs: Any other argument of `keras.layers.DepthwiseConv2D`.

    Input shape: `(batch, height, width, channels)`.
    Output shape: `(batch, new_height, new_width, channels * multiplier)`.
    """

    _channel_axes = (-2, -1)

    def __init__(
        self,
        kernel_size,
        sparsity=0.9,
        granularity="element",
        seed=None,
        **kwargs,
    ):
        super().__init__(
            kernel_size,
            sparsity=sparsity,
            granularity=granularity,
            seed=seed,
            **kwargs,
        )
