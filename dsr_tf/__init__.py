"""Sparse training in Keras 3: dynamic sparse reparameterization and peers."""

from dsr_tf import callbacks
from dsr_tf import export
from dsr_tf import layers
from dsr_tf import methods
from dsr_tf.conversion import sparsify
from dsr_tf.conversion import strip
from dsr_tf.layers import masked_weights
from dsr_tf.summary import sparsity_summary
