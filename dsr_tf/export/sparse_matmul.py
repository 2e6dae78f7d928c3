"""Large, very sparse Dense kernels as sparse matrices in a SavedModel.

The one place where sparsity saves time in plain TensorFlow, on a CPU: a
kernel of a million weights or more, at most one in twenty of them active.
Such a kernel is never made dense. Convolutions gain nothing.

Batches of at least `_SMALL_BATCH` go through TensorFlow's CSR product, whose
matrix is made in each call (a graph cannot keep one); smaller ones through
the product of a sparse and a dense matrix.
"""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from dsr_tf.core.grouping import Grouping
from dsr_tf.export import packing
from dsr_tf.export import resource
from dsr_tf.export.product_kernel import ProductKernel
from dsr_tf.layers import MaskedWeight
from dsr_tf.layers import SparseDense

# From this many weights on, and up to this density.
MIN_SIZE = 2**20
MAX_DENSITY = 0.05
_SMALL_BATCH = 4


def pays(weight: MaskedWeight) -> bool:
    """Whether a masked kernel is served faster so."""
    return (
        can_be_served(weight)
        and weight.size >= MIN_SIZE
        and weight.num_active <= math.ceil(MAX_DENSITY * weight.size)
    )


def can_be_served(weight: MaskedWeight) -> bool:
    """Whether it is the kernel of a Dense layer that computes in float32."""
    layer = weight.layer
    return type(layer) is SparseDense and layer.compute_dtype == "float32"


class SparseKernel(ProductKernel):
    """A kernel as a resource of positions and values."""

    title = "sparse product"
    note = "faster on a CPU, slower on a GPU"

    def _packed_in(
        self, values: np.ndarray, matrix: Grouping, narrow: str
    ) -> list[resource.Unpacked]:
        # A row for each unit, in which the CSR product wants it.
        rows = values.T
        flat = np.ascontiguousarray(rows).reshape(-1)
        self._packed = packed = packing.pack(flat, narrow, flat.size)
        variables = resource.string_variables(packed)
        count = packed.num_narrow + packed.num_wide
        return [
            resource.Unpacked(variables, self._indices, (count, 2), "int64"),
            resource.Unpacked(variables, self._values, (count,), "float32"),
        ]

    def _indices(self, gaps: Any, high: Any, low: Any) -> Any:
        positions = tf.cast(packing.positions(gaps), tf.int64)
        n = self._num_inputs
        return tf.stack([positions // n, positions % n], axis=1)

    def _values(self, gaps: Any, high: Any, low: Any) -> Any:
        bits = packing.nonzeros(high, low, self._packed)
        return tf.bitcast(bits, tf.float32)

    def _product(self, rows: Any, *parts: Any) -> Any:
        indices, values = parts
        shape = (self._num_units, self._num_inputs)
        matrix = tf.SparseTensor(indices, values, shape)
        # There are such products of float32 only.
        rows = tf.cast(rows, tf.float32)

        def one_by_one() -> Any:
            return tf.transpose(
                tf.sparse.sparse_dense_matmul(matrix, rows, adjoint_b=True)
            )

        def together() -> Any:
            csr = tf.raw_ops.SparseTensorToCSRSparseMatrix(
                indices=indices, values=values, dense_shape=matrix.dense_shape
            )
            return tf.raw_ops.SparseMatrixMatMul(
                a=csr, b=rows, transpose_b=True, transpose_output=True
            )

        is_small = tf.shape(rows)[0] < _SMALL_BATCH
        return tf.cond(is_small, one_by_one, together)
