"""Sparse version of Keras' embedding.

Rows are masked when they have been looked up: a large table is neither
multiplied by its mask in every step, nor has it a dense gradient. Or there is
no table: of each row a few weights are stored, and their columns.
"""

import dataclasses
from typing import Any

import keras
from keras import ops

from dsr_tf.core.granularity import Granularity
from dsr_tf.core.kernel_axes import KernelAxes
from dsr_tf.layers.kinds import masks
from dsr_tf.layers.storages import MASKED
from dsr_tf.layers.stores_active import StoresActive


class MasksRows(keras.layers.Embedding):
    """What a sparse embedding calls as Keras' own.

    It stands behind the layer that is masked, among the bases, and before
    Keras' embedding.
    """

    masked_variables: Any

    def call(self, inputs: Any) -> Any:
        weight = self.masked_variables["embeddings"]
        # LoRA adds to the whole table, an export has another in its place.
        if self.lora_enabled or weight.is_exported:
            return super().call(inputs)
        if inputs.dtype not in ("int32", "int64"):
            inputs = ops.cast(inputs, "int32")
        rows = weight.masked_rows(self._embeddings, inputs)
        return ops.cast(rows, self.compute_dtype)


@masks(keras.layers.Embedding, embeddings=(-1,))
class SparseEmbedding(StoresActive, MasksRows):
    """`keras.layers.Embedding` whose table is `mask * weights`.

    With `storage="rows"` a table of 200,000 words by 32, of which 3 are
    active in each row, takes 3 MB, and 7.8 MB with the slots of Adam; masked
    32 and 83 MB.

    Args:
        input_dim: Positive integer, size of the vocabulary.
        output_dim: Positive integer, length of a vector.
        sparsity: Share of inactive weights, in [0, 1).
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"shape"`, `"input"`, `"channel"`, `"layer"`, `"block:HxW"` or
            `"N:M"`, see `dsr_tf.core.granularity`.
        seed: Integer that the mask is drawn from; None draws a fresh one.
        storage: `"masked"`, whole weights and a mask; or `"rows"`, of each
            row the active weights only, with granularity `"element"`. All
            rows start with the same number of them, give or take one, and
            weights move to rows that have a slot for them. See
            `dsr_tf.layers.storages.rows`.
        num_slots: How many active weights a row has room for; None for as
            many as are active in the mean, rounded up.
        **kwargs: Any other argument of `keras.layers.Embedding`.

    Input shape: integers of any shape.
    Output shape: `(*input_shape, output_dim)`.

    Raises:
        ValueError: if an argument is out of range, or `weights` is given.
    """

    storages = (MASKED, "rows")
    has_slots_by_rows = True

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        sparsity: float | dict[str, float] = 0.9,
        granularity: str | Granularity = "element",
        seed: int | None = None,
        storage: str = MASKED,
        num_slots: int | None = None,
        **kwargs: Any,
    ) -> None:
        if "weights" in kwargs:
            raise ValueError(
                "SparseEmbedding takes no `weights`. Pass them as an "
                "`embeddings_initializer`, or make an Embedding with them "
                "sparse by `dsr_tf.sparsify`. Received: weights of type "
                f"{type(kwargs['weights']).__name__}"
            )
        super().__init__(
            input_dim,
            output_dim,
            sparsity=sparsity,
            granularity=granularity,
            seed=seed,
            storage=storage,
            num_slots=num_slots,
            **kwargs,
        )

    @classmethod
    def kernel_axes(
        cls, layer: keras.layers.Layer, name: str, num_axes: int
    ) -> KernelAxes:
        # No sum is over words: bundles of N:M are parts of a word's vector,
        # which whatever multiplies the table sums over.
        axes = super().kernel_axes(layer, name, num_axes)
        return dataclasses.replace(axes, summed=num_axes - 1)
