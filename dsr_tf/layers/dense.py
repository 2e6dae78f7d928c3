"""Sparse version of Keras' densely connected layer."""

from typing import Any

import keras

from dsr_tf.core.granularity import Granularity
from dsr_tf.layers.kinds import masks
from dsr_tf.layers.matrix_product import MatrixProduct
from dsr_tf.layers.storages import MASKED


@masks(keras.layers.Dense, kernel=(-1,))
class SparseDense(MatrixProduct, keras.layers.Dense):
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
        if self.multiplies:
            return self.product_with(inputs)
        return super().call(inputs, training=training)
