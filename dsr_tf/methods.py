"""The methods by name: how weights of a sparse model move."""

from dsr_tf.reallocation.method import Method
from dsr_tf.reallocation.methods import DSR
from dsr_tf.reallocation.methods import SET
from dsr_tf.reallocation.methods import SNFS
from dsr_tf.reallocation.methods import DeepR
from dsr_tf.reallocation.methods import RigL
from dsr_tf.reallocation.methods import Static

__all__ = ["DSR", "DeepR", "Method", "RigL", "SET", "SNFS", "Static"]
