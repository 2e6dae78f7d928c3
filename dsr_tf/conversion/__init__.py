"""Whole-model verbs: a copy of a model made sparse, tied, or dense again."""

from dsr_tf.conversion.copying import copy_masks
from dsr_tf.conversion.copying import copy_weights
from dsr_tf.conversion.sparsify import sparsify
from dsr_tf.conversion.strip import strip
from dsr_tf.conversion.strip import stripped
from dsr_tf.conversion.tie import tie

__all__ = ["copy_masks", "copy_weights", "sparsify", "strip", "stripped", "tie"]
