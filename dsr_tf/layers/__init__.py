"""Keras layers whose kernel is `mask * weights`, or tied weights."""

import keras

from dsr_tf.layers.convolution import SparseConv1D
from dsr_tf.layers.convolution import SparseConv2D
from dsr_tf.layers.convolution import SparseConv2DTranspose
from dsr_tf.layers.convolution import SparseConv3D
from dsr_tf.layers.convolution import SparseDepthwiseConv2D
from dsr_tf.layers.dense import SparseDense
from dsr_tf.layers.dense import SparseEinsumDense
from dsr_tf.layers.embedding import SparseEmbedding
from dsr_tf.layers.hashed import Hashed
from dsr_tf.layers.hashed import HashedConv2D
from dsr_tf.layers.hashed import HashedDense
from dsr_tf.layers.masked import Masked
from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.layers.masked_weights import mask_density
from dsr_tf.layers.masked_weights import masked_weights

# Keras' layer -> its masked kind.
MASKED_KINDS = {
    keras.layers.Conv1D: SparseConv1D,
    keras.layers.Conv2D: SparseConv2D,
    keras.layers.Conv2DTranspose: SparseConv2DTranspose,
    keras.layers.Conv3D: SparseConv3D,
    keras.layers.Dense: SparseDense,
    keras.layers.DepthwiseConv2D: SparseDepthwiseConv2D,
    keras.layers.EinsumDense: SparseEinsumDense,
    keras.layers.Embedding: SparseEmbedding,
}

# Keras' layer -> its tied kind.
HASHED_KINDS = {
    keras.layers.Conv2D: HashedConv2D,
    keras.layers.Dense: HashedDense,
}

__all__ = [
    "HASHED_KINDS",
    "Hashed",
    "HashedConv2D",
    "HashedDense",
    "MASKED_KINDS",
    "Masked",
    "MaskedWeight",
    "SparseConv1D",
    "SparseConv2D",
    "SparseConv2DTranspose",
    "SparseConv3D",
    "SparseDense",
    "SparseDepthwiseConv2D",
    "SparseEinsumDense",
    "SparseEmbedding",
    "mask_density",
    "masked_weights",
]
