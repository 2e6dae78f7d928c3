"""How weights of a sparse model move: the rules, and a file a method."""

from dsr_tf.core import discovery
from dsr_tf.methods.adaptive import Adaptive
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
    "Adaptive",
    "DSR",
    "DeepR",
    "InStepHook",
    "KernelView",
    "METHODS",
    "Method",
    "RigL",
    "SET",
    "SNFS",
    "Static",
]

# All that have a name for `--method`, by that name, also those in files that
# are not named above.
METHODS: dict[str, type[Method]] = {
    vars(found)["flag_name"]: found
    for module in discovery.import_modules(__name__, __path__)
    for found in vars(module).values()
    if isinstance(found, type)
    and issubclass(found, Method)
    # Not those that a file imports or inherits a name from.
    and found.__module__ == module.__name__
    and vars(found).get("flag_name")
}
globals().update({found.__name__: found for found in METHODS.values()})
