"""Keras' spectral normalization around a masked layer."""

import keras

from dsr_tf.layers.kinds import holds_masked
from dsr_tf.layers.masked import Masked


@holds_masked(keras.layers.SpectralNormalization)
class SparseSpectralNormalization(keras.layers.SpectralNormalization):
    """`keras.layers.SpectralNormalization` of a masked layer.

    Training divides all weights by one number, which leaves zeros alone.

    Args:
        layer: A masked layer with a `kernel` or `embeddings`.
        **kwargs: Any other argument of `keras.layers.SpectralNormalization`.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        if isinstance(self.layer, Masked):
            # What it assigns to is the variable, not the product with a mask.
            self.kernel = self.layer.stored(self.layer.masked_names[0])
