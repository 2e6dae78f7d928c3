"""The published methods, a file each."""

from dsr_tf.reallocation.methods.deep_r import DeepR
from dsr_tf.reallocation.methods.dsr import DSR
from dsr_tf.reallocation.methods.rigl import RigL
from dsr_tf.reallocation.methods.set import SET
from dsr_tf.reallocation.methods.snfs import SNFS
from dsr_tf.reallocation.methods.static import Static

__all__ = ["DSR", "DeepR", "RigL", "SET", "SNFS", "Static"]
