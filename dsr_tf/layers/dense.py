"""Sparse versions of Keras' densely connected layers."""

from collections.abc import Sequence
from typing import Any

import keras

from dsr_tf.core.granularity import Granularity
from dsr_tf.layers.kinds import masks
from dsr_tf.layers.masked import Masked


@masks(keras.layers.Dense, kernel=(-1,))
class SparseDense(Masked, keras.layers.Dense):
    """`keras.layers.Dense` whose kernel is `mask * weights`.

    It computes `activation(dot(input, mask * kernel) + bias)` with dense
    matrix products: it saves weights, not time. Which weights are active
    changes only where a callback or you assign `mask`.

    Args:
        units: Positive integer, dimensionality of the output.
        sparsity: Share of inactive weights, in [0, 1). The layer starts with
            `round((1 - sparsity) * num_groups)` active groups, at least one.
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"channel"`, `"block:HxW"` or `"N:M"`, see
            `dsr_tf.core.granularity`.
        seed: Integer that the mask is drawn from; None draws a fresh one.
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

    def __init__(
        self,
        units: int,
        sparsity: float | dict[str, float] = 0.9,
        granularity: str | Granularity = "element",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            sparsity=sparsity,
            granularity=granularity,
            seed=seed,
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
            `"channel"`, `"block:HxW"` or `"N:M"`, see
            `dsr_tf.core.granularity`.
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

    def input_axis(self, name: str, num_axes: int) -> int | None:
        # The last one that the equation sums over: of "abc,cde->abde" the
        # first of three.
        terms, outputs = self.equation.split("->")
        kernel = terms.split(",")[1]
        summed = [i for i, axis in enumerate(kernel) if axis not in outputs]
        return max(summed, default=None)
