"""Keras' spectral normalization around a masked layer."""

from typing import Any

import keras

from dsr_tf.layers import storages
from dsr_tf.layers.kinds import holds_masked
from dsr_tf.layers.masked import Masked


@holds_masked(keras.layers.SpectralNormalization)
class SparseSpectralNormalization(keras.layers.SpectralNormalization):
    """`keras.layers.SpectralNormalization` of a masked layer.

    Training divides all weights by one number, which leaves zeros alone.

    Args:
        layer: A masked layer with a `kernel` or `embeddings`.
        **kwargs: Any other argument of `keras.layers.SpectralNormalization`.

    Raises:
        ValueError: if the layer stores active weights only.
    """

    def __init__(self, layer: keras.layers.Layer, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.begin_to_hold()

    def begin_to_hold(self) -> None:
        """Let the layer inside have no storage but masks, from now on."""
        if isinstance(self.layer, Masked):
            self.layer.__dict__.update(
                why_masked="spectral normalization needs its whole kernel"
            )
            storages.check(self.layer, self.layer.storage)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        if isinstance(self.layer, Masked):
            # What it assigns to is the variable, not the product with a mask.
            self.kernel = self.layer.stored(self.layer.masked_names[0])
