"""What layers have in common that multiply their inputs by one matrix.

Or that may: a convolution does if its window is a single position, and an
EinsumDense if its equation says so. Where active weights only are stored, the
product is that of the storage; else `call` is Keras' own.
"""

from typing import Any

from keras import ops

from dsr_tf.layers.storages import MASKED
from dsr_tf.layers.stores_active import StoresActive


class MatrixProduct(StoresActive):
    """Mixin for such a layer, with a kernel, a bias and an activation.

    The first axes of its kernel are the rows of the matrix, the others its
    columns, see `Grouping.num_column_axes`.
    """

    storages = (MASKED, "blocks", "lists")
    bias: Any
    activation: Any

    def as_rows(self, inputs: Any) -> Any:
        """Inputs as a tensor `(..., rows)`, a vector for each product."""
        return inputs

    def as_outputs(self, products: Any) -> Any:
        """Outputs, without bias, from a tensor `(..., columns)`."""
        return products

    @property
    def multiplies(self) -> bool:
        """Whether something else than a whole kernel is multiplied by."""
        return self.masked_variables["kernel"].product is not None

    def product_with(self, inputs: Any) -> Any:
        """What the layer computes, by that product."""
        multiply: Any = self.masked_variables["kernel"].product
        inputs = self.as_rows(ops.convert_to_tensor(inputs))
        outputs = self.as_outputs(multiply(inputs))
        if self.bias is not None:
            outputs = ops.add(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)
