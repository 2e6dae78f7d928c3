"""How channels pass through layers: a rule for each kind.

A rule is a function of a `Call`. It says which labels lie along the axes of
the layer's variables, and returns the `Channels` of each output. A file here
that registers one is all that another kind takes, and for a layer of a
user's own one line is enough:

    dsr_tf.structure.register(MyActivation)(dsr_tf.structure.elementwise)
"""

from dsr_tf.core import discovery
from dsr_tf.structure.rules.registry import RULES
from dsr_tf.structure.rules.registry import Rule
from dsr_tf.structure.rules.registry import register
from dsr_tf.structure.rules.registry import rule_of
from dsr_tf.structure.rules.registry import rule_of_kind

__all__ = ["RULES", "Rule", "register", "rule_of", "rule_of_kind"]

discovery.import_modules(__name__, __path__)
