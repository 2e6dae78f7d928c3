"""Whole-model verbs: models made sparse, tied, clustered, penalized, or dense
again."""

from dsr_tf.conversion.cluster import cluster
from dsr_tf.conversion.cluster import uncluster
from dsr_tf.conversion.copying import copy_masks
from dsr_tf.conversion.copying import copy_weights
from dsr_tf.conversion.regularize import regularize
from dsr_tf.conversion.sparsify import sparsify
from dsr_tf.conversion.storage import masked_copy
from dsr_tf.conversion.storage import with_storage
from dsr_tf.conversion.strip import strip
from dsr_tf.conversion.strip import stripped
from dsr_tf.conversion.tie import tie

__all__ = [
    "cluster",
    "copy_masks",
    "copy_weights",
    "masked_copy",
    "regularize",
    "sparsify",
    "strip",
    "stripped",
    "tie",
    "uncluster",
    "with_storage",
]
