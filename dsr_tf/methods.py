"""The methods by name: how weights of a sparse model move."""

from dsr_tf.reallocation.methods import DSR
from dsr_tf.reallocation.methods import SET
from dsr_tf.reallocation.methods import Method
from dsr_tf.reallocation.methods import Static

__all__ = ["DSR", "Method", "SET", "Static"]
