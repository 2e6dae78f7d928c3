"""Sparse version of Keras' embedding that also scores words."""

import dataclasses
from typing import Any

import keras

from dsr_tf.core.kernel_axes import KernelAxes
from dsr_tf.layers.embedding import MasksRows
from dsr_tf.layers.kinds import masks
from dsr_tf.layers.masked import Masked


@masks(
    keras.layers.ReversibleEmbedding,
    embeddings=(-1,),
    reverse_embeddings=(-1,),
)
class SparseReversibleEmbedding(
    Masked, keras.layers.ReversibleEmbedding, MasksRows
):
    """`keras.layers.ReversibleEmbedding` whose table is `mask * weights`.

    A model of language looks words up in it, and scores them by it at the
    end. With `tie_weights=False` there is a second table for that, with a
    mask of its own.

    Args:
        input_dim: Positive integer, size of the vocabulary.
        output_dim: Positive integer, length of a vector.
        sparsity: Share of inactive weights, in [0, 1).
        granularity: What one mask entry governs: `"element"`, `"kernel"`,
            `"shape"`, `"input"`, `"channel"`, `"layer"` or `"block:HxW"`,
            see `dsr_tf.core.granularity`.
        seed: Integer that the mask is drawn from; None draws a fresh one.
        **kwargs: Any other argument of `keras.layers.ReversibleEmbedding`.

    Call arguments, input and output shape: Keras' own.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        tie_weights: bool = True,
        **kwargs: Any,
    ) -> None:
        # It says what is masked, so it comes before the rest.
        self.__dict__["tie_weights"] = tie_weights
        super().__init__(
            input_dim, output_dim, tie_weights=tie_weights, **kwargs
        )

    @property
    def masked_names(self) -> tuple[str, ...]:
        names = super().masked_names
        return names[:1] if self.tie_weights else names

    @classmethod
    def kernel_axes(
        cls, layer: keras.layers.Layer, name: str, num_axes: int
    ) -> KernelAxes:
        # Bundles of N:M are parts of a word's vector in both.
        axes = super().kernel_axes(layer, name, num_axes)
        of_vector = num_axes - 1 if name == "embeddings" else num_axes - 2
        return dataclasses.replace(axes, summed=of_vector)
