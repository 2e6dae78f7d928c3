"""Sparse version of Keras' layer of an einsum equation.

Attention projects by such layers. Most equations say how to multiply by a
matrix, whose rows are several axes of the inputs, or its columns several of
the outputs.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from dsr_tf.core.granularity import Granularity
from dsr_tf.core.kernel_axes import KernelAxes
from dsr_tf.layers.kinds import masks
from dsr_tf.layers.matrix_product import MatrixProduct
from dsr_tf.layers.storages import MASKED


@masks(keras.layers.EinsumDense, kernel=(-1,))
class SparseEinsumDense(MatrixProduct, keras.layers.EinsumDense):
    """`keras.layers.EinsumDense` whose kernel is `mask * weights`.

    Args:
        equation: Einsum equation, such as `"abc,cd->abd"`.
        output_shape: Expected shape of the output without the batch.
        sparsity: Share of inactive weights, in [0, 1).
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"shape"`, `"input"`, `"channel"`, `"layer"`, `"block:HxW"` or
            `"N:M"`, see `dsr_tf.core.granularity`.
        seed: Integer that the mask is drawn from; None draws a fresh one.
        storage, num_slots: As for `SparseDense`, where the equation says how
            to multiply by a matrix, such as `"abc,cde->abde"`: the last axes
            of the inputs and all others of the kernel stand in that order.
        **kwargs: Any other argument of `keras.layers.EinsumDense`.

    Input and output shape: as the equation says.

    Raises:
        ValueError: if an argument is out of range.
    """

    has_many_rows = True

    def __init__(
        self,
        equation: str,
        output_shape: int | Sequence[int | None],
        sparsity: float | dict[str, float] = 0.9,
        granularity: str | Granularity = "element",
        seed: int | None = None,
        storage: str = MASKED,
        num_slots: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            equation,
            output_shape,
            sparsity=sparsity,
            granularity=granularity,
            seed=seed,
            storage=storage,
            num_slots=num_slots,
            **kwargs,
        )

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if self.multiplies:
            return self.product_with(inputs)
        return super().call(inputs, training=training)

    def reason_to_stay_masked(self) -> str:
        if _matrix_axes(self.equation) is None:
            return f"{self.equation} is no product with a matrix"
        return ""

    def as_rows(self, inputs: Any) -> Any:
        grouping = self.masked_variables["kernel"].grouping
        columns = grouping.num_column_axes
        rows = math.prod(grouping.kernel_shape[:-columns])
        num_axes = len(grouping.kernel_shape) - columns
        return ops.reshape(inputs, (*ops.shape(inputs)[:-num_axes], rows))

    def as_outputs(self, products: Any) -> Any:
        grouping = self.masked_variables["kernel"].grouping
        columns = grouping.kernel_shape[-grouping.num_column_axes :]
        return ops.reshape(products, (*ops.shape(products)[:-1], *columns))

    @classmethod
    def kernel_axes(cls, layer: Any, name: str, num_axes: int) -> KernelAxes:
        # By the letters of the equation, such as "abc,cde->abde". Where it
        # sums over several axes, bundles of N:M lie along the last.
        terms, outputs = layer.equation.split("->")
        inputs, kernel = terms.split(",")
        summed = [i for i, axis in enumerate(kernel) if axis not in outputs]
        rows, columns = _matrix_axes(layer.equation) or (1, 1)
        return dataclasses.replace(
            super().kernel_axes(layer, name, num_axes),
            num_row_axes=rows,
            num_column_axes=columns,
            inputs=frozenset(i for i, a in enumerate(kernel) if a in inputs),
            outputs=frozenset(
                i for i, a in enumerate(kernel) if a not in inputs
            ),
            summed=max(summed, default=None),
        )


def _matrix_axes(equation: str) -> tuple[int, int] | None:
    """How many axes of the kernel are rows and columns of a matrix.

    None if an equation says something else than to multiply by one, its
    rows being the last axes of the inputs, its columns those of the outputs.
    """
    terms, outputs = equation.split("->")
    inputs, kernel = terms.split(",")
    rows = "".join(axis for axis in kernel if axis not in outputs)
    columns = "".join(axis for axis in kernel if axis in outputs)
    is_product = (
        rows
        and columns
        and rows + columns == kernel
        and inputs.endswith(rows)
        and outputs.endswith(columns)
        and inputs.removesuffix(rows) == outputs.removesuffix(columns)
    )
    return (len(rows), len(columns)) if is_product else None
