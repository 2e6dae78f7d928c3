"""Sparse versions of Keras' depthwise and separable convolutions."""

from collections.abc import Sequence
from typing import Any

import keras

from dsr_tf.core.granularity import Granularity
from dsr_tf.layers.convolution import SparseConvolution
from dsr_tf.layers.kinds import masks
from dsr_tf.layers.masked import Masked


class _Depthwise(Masked):
    """The arguments that all depthwise convolutions share."""

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        sparsity: float | dict[str, float] = 0.9,
        granularity: str | Granularity = "element",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            sparsity=sparsity,
            granularity=granularity,
            seed=seed,
            **kwargs,
        )


@masks(keras.layers.DepthwiseConv1D, kernel=(-2, -1))
class SparseDepthwiseConv1D(_Depthwise, keras.layers.DepthwiseConv1D):
    """`keras.layers.DepthwiseConv1D` whose kernel is `mask * weights`.

    Args:
        kernel_size: Integer, length of the window.
        sparsity: Share of inactive weights, in [0, 1).
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"shape"`, `"input"`, `"channel"`, `"layer"`, `"block:HxW"` or
            `"N:M"`, see `dsr_tf.core.granularity`.
        seed: Integer that the mask is drawn from; None draws a fresh one.
        **kwargs: Any other argument of `keras.layers.DepthwiseConv1D`.

    Input shape: `(batch, steps, channels)`.
    Output shape: `(batch, new_steps, channels * multiplier)`.

    Raises:
        ValueError: if an argument is out of range.
    """


@masks(keras.layers.DepthwiseConv2D, kernel=(-2, -1))
class SparseDepthwiseConv2D(_Depthwise, keras.layers.DepthwiseConv2D):
    """`keras.layers.DepthwiseConv2D` whose kernel is `mask * weights`.

    Args:
        kernel_size: Integer or pair, height and width of the window.
        sparsity: Share of inactive weights, in [0, 1).
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"shape"`, `"input"`, `"channel"`, `"layer"`, `"block:HxW"` or
            `"N:M"`, see `dsr_tf.core.granularity`.
        seed: Integer that the mask is drawn from; None draws a fresh one.
        **kwargs: Any other argument of `keras.layers.DepthwiseConv2D`.

    Input shape: `(batch, height, width, channels)`.
    Output shape: `(batch, new_height, new_width, channels * multiplier)`.

    Raises:
        ValueError: if an argument is out of range.
    """


@masks(
    keras.layers.SeparableConv1D,
    depthwise_kernel=(-2, -1),
    pointwise_kernel=(-1,),
)
class SparseSeparableConv1D(SparseConvolution, keras.layers.SeparableConv1D):
    """`keras.layers.SeparableConv1D` whose two kernels are masked,
    each by a mask of its own.

    Args:
        filters: Positive integer, number of output channels.
        kernel_size: Integer, length of the window.
        sparsity: Share of inactive weights, in [0, 1); or a dict with
            the keys `"depthwise_kernel"` and `"pointwise_kernel"`.
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"shape"`, `"input"`, `"channel"`, `"layer"`, `"block:HxW"` or
            `"N:M"`, see `dsr_tf.core.granularity`.
        seed: Integer that masks are drawn from; None draws a fresh one.
        **kwargs: Any other argument of `keras.layers.SeparableConv1D`.

    Input shape: `(batch, steps, channels)`.
    Output shape: `(batch, new_steps, filters)`.

    Raises:
        ValueError: if an argument is out of range.
    """


@masks(
    keras.layers.SeparableConv2D,
    depthwise_kernel=(-2, -1),
    pointwise_kernel=(-1,),
)
class SparseSeparableConv2D(SparseConvolution, keras.layers.SeparableConv2D):
    """`keras.layers.SeparableConv2D` whose two kernels are masked,
    each by a mask of its own.

    Args:
        filters: Positive integer, number of output channels.
        kernel_size: Integer or pair, height and width of the window.
        sparsity: Share of inactive weights, in [0, 1); or a dict with
            the keys `"depthwise_kernel"` and `"pointwise_kernel"`.
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"shape"`, `"input"`, `"channel"`, `"layer"`, `"block:HxW"` or
            `"N:M"`, see `dsr_tf.core.granularity`.
        seed: Integer that masks are drawn from; None draws a fresh one.
        **kwargs: Any other argument of `keras.layers.SeparableConv2D`.

    Input shape: `(batch, height, width, channels)`.
    Output shape: `(batch, new_height, new_width, filters)`.

    Raises:
        ValueError: if an argument is out of range.
    """
