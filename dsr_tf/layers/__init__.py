"""Keras layers with masked, tied or clustered weights."""

import keras

from dsr_tf.core import discovery
from dsr_tf.layers.attention import SparseGroupedQueryAttention
from dsr_tf.layers.attention import SparseMultiHeadAttention
from dsr_tf.layers.clustered import Clustered
from dsr_tf.layers.clustered_variable import ClusteredVariable
from dsr_tf.layers.convolution import SparseConv1D
from dsr_tf.layers.convolution import SparseConv2D
from dsr_tf.layers.convolution import SparseConv3D
from dsr_tf.layers.convolutional_recurrent import SparseConvLSTM1D
from dsr_tf.layers.convolutional_recurrent import SparseConvLSTM2D
from dsr_tf.layers.convolutional_recurrent import SparseConvLSTM3D
from dsr_tf.layers.dense import SparseDense
from dsr_tf.layers.depthwise_convolution import SparseDepthwiseConv1D
from dsr_tf.layers.depthwise_convolution import SparseDepthwiseConv2D
from dsr_tf.layers.depthwise_convolution import SparseSeparableConv1D
from dsr_tf.layers.depthwise_convolution import SparseSeparableConv2D
from dsr_tf.layers.einsum_dense import SparseEinsumDense
from dsr_tf.layers.embedding import SparseEmbedding
from dsr_tf.layers.hashed import Hashed
from dsr_tf.layers.hashed import HashedConv2D
from dsr_tf.layers.hashed import HashedDense
from dsr_tf.layers.kinds import CLUSTERED_KINDS
from dsr_tf.layers.kinds import DENSE_KINDS
from dsr_tf.layers.kinds import HASHED_KINDS
from dsr_tf.layers.kinds import HELD_KINDS
from dsr_tf.layers.kinds import HOLDING_KINDS
from dsr_tf.layers.kinds import MASKED_KINDS
from dsr_tf.layers.masked import Masked
from dsr_tf.layers.masked_variable import MaskedVariable
from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.layers.masked_weights import clustered_weights
from dsr_tf.layers.masked_weights import mask_density
from dsr_tf.layers.masked_weights import masked_weights
from dsr_tf.layers.recurrent import SparseGRU
from dsr_tf.layers.recurrent import SparseGRUCell
from dsr_tf.layers.recurrent import SparseLSTM
from dsr_tf.layers.recurrent import SparseLSTMCell
from dsr_tf.layers.recurrent import SparseRNN
from dsr_tf.layers.recurrent import SparseSimpleRNN
from dsr_tf.layers.recurrent import SparseSimpleRNNCell
from dsr_tf.layers.reversible_embedding import SparseReversibleEmbedding
from dsr_tf.layers.scale import Scale
from dsr_tf.layers.spectral_normalization import SparseSpectralNormalization
from dsr_tf.layers.transposed_convolution import SparseConv1DTranspose
from dsr_tf.layers.transposed_convolution import SparseConv2DTranspose
from dsr_tf.layers.transposed_convolution import SparseConv3DTranspose

__all__ = [
    "CLUSTERED_KINDS",
    "Clustered",
    "ClusteredConv2D",
    "ClusteredDense",
    "ClusteredVariable",
    "DENSE_KINDS",
    "HASHED_KINDS",
    "HELD_KINDS",
    "HOLDING_KINDS",
    "Hashed",
    "HashedConv2D",
    "HashedDense",
    "MASKED_KINDS",
    "Masked",
    "MaskedVariable",
    "MaskedWeight",
    "Scale",
    "SparseConv1D",
    "SparseConv1DTranspose",
    "SparseConv2D",
    "SparseConv2DTranspose",
    "SparseConv3D",
    "SparseConv3DTranspose",
    "SparseConvLSTM1D",
    "SparseConvLSTM2D",
    "SparseConvLSTM3D",
    "SparseDense",
    "SparseDepthwiseConv1D",
    "SparseDepthwiseConv2D",
    "SparseEinsumDense",
    "SparseEmbedding",
    "SparseGRU",
    "SparseGRUCell",
    "SparseGroupedQueryAttention",
    "SparseLSTM",
    "SparseLSTMCell",
    "SparseMultiHeadAttention",
    "SparseRNN",
    "SparseReversibleEmbedding",
    "SparseSeparableConv1D",
    "SparseSeparableConv2D",
    "SparseSimpleRNN",
    "SparseSimpleRNNCell",
    "SparseSpectralNormalization",
    "clustered_weights",
    "mask_density",
    "masked_weights",
]

# Kinds in files that are not named above.
discovery.import_modules(__name__, __path__)
ClusteredDense = CLUSTERED_KINDS[keras.layers.Dense]
ClusteredConv2D = CLUSTERED_KINDS[keras.layers.Conv2D]
for _kind in (*DENSE_KINDS, *HELD_KINDS):
    if _kind.__module__.startswith(f"{__name__}."):
        globals()[_kind.__name__] = _kind
