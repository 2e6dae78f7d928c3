"""Sparse versions of Keras' densely connected layers."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from dsr_tf.core.granularity import Granularity
from dsr_tf.core.kernel_axes import KernelAxes
from dsr_tf.layers.kinds import masks
from dsr_tf.layers.masked import Masked
from dsr_tf.layers.storages import MASKED
from dsr_tf.layers.stores_active import StoresActive


@masks(keras.layers.Dense, kernel=(-1,))
class SparseDense(Masked, StoresActive, keras.layers.Dense):
    """`keras.layers.Dense` whose kernel is `mask * weights`.

    It computes `activation(dot(input, mask * kernel) + bias)`, with dense
    matrix products where whole weights and a mask are stored: that saves
    weights, not time. Other storages hold and multiply active weights only.
    Which these are changes only where a callback or you assign `mask`.

    Args:
        units: Positive integer, dimensionality of the output.
        sparsity: Share of inactive weights, in [0, 1). The layer starts with
            `round((1 - sparsity) * num_groups)` active groups, at least one.
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"shape"`, `"input"`, `"channel"`, `"layer"`, `"block:HxW"` or
            `"N:M"`, see `dsr_tf.core.granularity`.
        seed: Integer that the mask is drawn from; None draws a fresh one.
        storage: `"masked"`, whole weights and a mask; `"blocks"`, active
            blocks only, of a granularity such as `"block:32"`; or
            `"lists"`, active weights only, of granularity `"element"`, on
            the TensorFlow backend and without XLA. See
            `dsr_tf.layers.storages`.
        num_slots: How many active groups there is room for: blocks in each
            block of outputs, or weights in the whole kernel; None for a
            quarter more than are active in the mean.
        **kwargs: Any other argument of `keras.layers.Dense`.

    Input shape: `(batch, ..., input_dim)`.
    Output shape: `(batch, ..., units)`.

    Raises:
        ValueError: if an argument is out of range.

    Example:

    >>> layer = dsr_tf.layers.SparseDense(10, sparsity=0.9, seed=0)
    >>> layer.build((None, 100))
    >>> int(keras.ops.sum(keras.ops.cast(layer.mask, "int32")))
    100
    """

    storages = (MASKED, "blocks", "lists")

    def __init__(
        self,
        units: int,
        sparsity: float | dict[str, float] = 0.9,
        granularity: str | Granularity = "element",
        seed: int | None = None,
        storage: str = MASKED,
        num_slots: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            sparsity=sparsity,
            granularity=granularity,
            seed=seed,
            storage=storage,
            num_slots=num_slots,
            **kwargs,
        )

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        multiply = self.masked_variables["kernel"].product
        if multiply is None:
            return super().call(inputs, training=training)
        outputs = multiply(inputs)
        if self.bias is not None:
            outputs = keras.ops.add(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)


@masks(keras.layers.EinsumDense, kernel=(-1,))
class SparseEinsumDense(Masked, keras.layers.EinsumDense):
    """`keras.layers.EinsumDense` whose kernel is `mask * weights`.

    Args:
        equation: Einsum equation, such as `"abc,cd->abd"`.
        output_shape: Expected shape of the output without the batch.
        sparsity: Share of inactive weights, in [0, 1).
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"shape"`, `"input"`, `"channel"`, `"layer"`, `"block:HxW"` or
            `"N:M"`, see `dsr_tf.core.granularity`.
        seed: Integer that the mask is drawn from; None draws a fresh one.
        **kwargs: Any other argument of `keras.layers.EinsumDense`.

    Input and output shape: as the equation says.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self,
        equation: str,
        output_shape: int | Sequence[int | None],
        sparsity: float | dict[str, float] = 0.9,
        granularity: str | Granularity = "element",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            equation,
            output_shape,
            sparsity=sparsity,
            granularity=granularity,
            seed=seed,
            **kwargs,
        )

    @classmethod
    def kernel_axes(cls, layer: Any, name: str, num_axes: int) -> KernelAxes:
        # By the letters of the equation, such as "abc,cde->abde". Where it
        # sums over several axes, bundles of N:M lie along the last.
        terms, outputs = layer.equation.split("->")
        inputs, kernel = terms.split(",")
        summed = [i for i, axis in enumerate(kernel) if axis not in outputs]
        return dataclasses.replace(
            super().kernel_axes(layer, name, num_axes),
            inputs=frozenset(i for i, a in enumerate(kernel) if a in inputs),
            outputs=frozenset(
                i for i, a in enumerate(kernel) if a not in inputs
            ),
            summed=max(summed, default=None),
        )
