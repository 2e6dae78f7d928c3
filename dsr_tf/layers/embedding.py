"""Sparse version of Keras' embedding."""

from typing import Any

import keras

from dsr_tf.core.granularity import Granularity
from dsr_tf.layers.kinds import masks
from dsr_tf.layers.masked import Masked


@masks(keras.layers.Embedding, embeddings=(-1,))
class SparseEmbedding(Masked, keras.layers.Embedding):
    """`keras.layers.Embedding` whose table is `mask * weights`.

    The whole table is masked in every step, and its gradient is dense: for
    a very large vocabulary that is slower than Keras' own layer, which
    touches the rows in the batch only.

    Args:
        input_dim: Positive integer, size of the vocabulary.
        output_dim: Positive integer, length of a vector.
        sparsity: Share of inactive weights, in [0, 1).
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"channel"`, `"block:HxW"` or `"N:M"`, see
            `dsr_tf.core.granularity`.
        seed: Integer that the mask is drawn from; None draws a fresh one.
        **kwargs: Any other argument of `keras.layers.Embedding`.

    Input shape: integers of any shape.
    Output shape: `(*input_shape, output_dim)`.

    Raises:
        ValueError: if an argument is out of range, or `weights` is given.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        sparsity: float | dict[str, float] = 0.9,
        granularity: str | Granularity = "element",
        seed: int | None = None,
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
            **kwargs,
        )

    @classmethod
    def input_axis(cls, layer: Any, name: str, num_axes: int) -> int:
        # No sum is over words: bundles of N:M are parts of a word's vector,
        # which whatever multiplies the table sums over.
        return num_axes - 1
