"""Sparse versions of Keras' convolutions.

Each is Keras' own layer; shapes, strides, padding and data formats are those
of the layer it is named after. A masked convolution runs dense on every
device: it saves weights, not time. Those of single positions, 1x1, may store
and multiply active weights only.
"""

from collections.abc import Sequence
from typing import Any

import keras

from dsr_tf.core.granularity import Granularity
from dsr_tf.layers.kinds import masks
from dsr_tf.layers.masked import Masked
from dsr_tf.layers.matrix_product import MatrixProduct
from dsr_tf.layers.storages import MASKED


class SparseConvolution(Masked):
    """The arguments that all convolutions with filters share."""

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        sparsity: float | dict[str, float] = 0.9,
        granularity: str | Granularity = "element",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters,
            kernel_size,
            sparsity=sparsity,
            granularity=granularity,
            seed=seed,
            **kwargs,
        )


class PlainConvolution(MatrixProduct, SparseConvolution):
    """Those whose kernels are `(*window, inputs, outputs)`.

    With a window of a single position they multiply the channels of each
    position by a matrix.
    """

    has_many_rows = True

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        sparsity: float | dict[str, float] = 0.9,
        granularity: str | Granularity = "element",
        seed: int | None = None,
        storage: str = MASKED,
        num_slots: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters,
            kernel_size,
            sparsity=sparsity,
            granularity=granularity,
            seed=seed,
            storage=storage,
            num_slots=num_slots,
            **kwargs,
        )

    def call(self, inputs: Any) -> Any:
        if self.multiplies:
            return self.product_with(inputs)
        return super().call(inputs)

    def reason_to_stay_masked(self) -> str:
        if any(n > 1 for n in self.kernel_size):
            return "its window is larger than one position"
        if self.groups > 1:
            return "it has groups of channels"
        if self.data_format != "channels_last":
            return "its channels are not the last axis"
        return ""

    def as_rows(self, inputs: Any) -> Any:
        # With such a window, all paddings are none.
        steps = (slice(None, None, stride) for stride in self.strides)
        return inputs[(slice(None), *steps)]


@masks(keras.layers.Conv1D, kernel=(-1,))
class SparseConv1D(PlainConvolution, keras.layers.Conv1D):
    """`keras.layers.Conv1D` whose kernel is `mask * weights`.

    Args:
        filters: Positive integer, number of output channels.
        kernel_size: Integer, length of the window.
        sparsity: Share of inactive weights, in [0, 1).
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"shape"`, `"input"`, `"channel"`, `"layer"`, `"block:HxW"` or
            `"N:M"`, see `dsr_tf.core.granularity`.
        seed: Integer that the mask is drawn from; None draws a fresh one.
        storage, num_slots: As for `SparseDense`, where the window is a single
            position, there are no groups, and channels come last.
        **kwargs: Any other argument of `keras.layers.Conv1D`.

    Input shape: `(batch, steps, channels)`.
    Output shape: `(batch, new_steps, filters)`.

    Raises:
        ValueError: if an argument is out of range.
    """


@masks(keras.layers.Conv2D, kernel=(-1,))
class SparseConv2D(PlainConvolution, keras.layers.Conv2D):
    """`keras.layers.Conv2D` whose kernel is `mask * weights`.

    Args:
        filters: Positive integer, number of output channels.
        kernel_size: Integer or pair, height and width of the window.
        sparsity: Share of inactive weights, in [0, 1).
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"shape"`, `"input"`, `"channel"`, `"layer"`, `"block:HxW"` or
            `"N:M"`, see `dsr_tf.core.granularity`.
        seed: Integer that the mask is drawn from; None draws a fresh one.
        storage, num_slots: As for `SparseDense`, where the window is a single
            position, there are no groups, and channels come last.
        **kwargs: Any other argument of `keras.layers.Conv2D`.

    Input shape: `(batch, height, width, channels)`.
    Output shape: `(batch, new_height, new_width, filters)`.

    Raises:
        ValueError: if an argument is out of range.
    """


@masks(keras.layers.Conv3D, kernel=(-1,))
class SparseConv3D(PlainConvolution, keras.layers.Conv3D):
    """`keras.layers.Conv3D` whose kernel is `mask * weights`.

    Args:
        filters: Positive integer, number of output channels.
        kernel_size: Integer or triple, size of the window.
        sparsity: Share of inactive weights, in [0, 1).
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"shape"`, `"input"`, `"channel"`, `"layer"`, `"block:HxW"` or
            `"N:M"`, see `dsr_tf.core.granularity`.
        seed: Integer that the mask is drawn from; None draws a fresh one.
        storage, num_slots: As for `SparseDense`, where the window is a single
            position, there are no groups, and channels come last.
        **kwargs: Any other argument of `keras.layers.Conv3D`.

    Input shape: `(batch, depth, height, width, channels)`.
    Output shape: `(batch, new_depth, new_height, new_width, filters)`.

    Raises:
        ValueError: if an argument is out of range.
    """
