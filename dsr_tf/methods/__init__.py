"""How weights of a sparse model move: the rules, and a file a method."""

from dsr_tf.core import discovery
from dsr_tf.methods.deep_r import DeepR
from dsr_tf.methods.dsr import DSR
from dsr_tf.methods.hook import InStepHook
from dsr_tf.methods.method import KernelView
from dsr_tf.methods.method import Method
from dsr_tf.methods.rigl import RigL
from dsr_tf.methods.set import SET
from dsr_tf.methods.snfs import SNFS
from dsr_tf.methods.static import Static

__all__ = [
    "DSR",
    "DeepR",
    "InStepHook",
    "KernelView",
    "Method",
    "RigL",
    "SET",
    "SNFS",
    "Static",
]

# Methods in files that are not named above.
for _module in discovery.import_modules(__name__, __path__):
    for _found in list(vars(_module).values()):
        if isinstance(_found, type) and issubclass(_found, Method):
            if vars(_found).get("flag_name"):
                globals()[_found.__name__] = _found
