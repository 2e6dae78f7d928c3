"""Whole channels: found, counted, chosen, removed.

sets = dsr_tf.structure.channel_sets(model)
keep = {sets[0].name: scores > threshold}
smaller = dsr_tf.structure.narrow(model, keep)
"""

from dsr_tf.structure.channels import ChannelSet
from dsr_tf.structure.channels import Slice
from dsr_tf.structure.cost import Cost
from dsr_tf.structure.masking import mask
from dsr_tf.structure.narrowing import narrow
from dsr_tf.structure.rules import register
from dsr_tf.structure.rules.elementwise import elementwise
from dsr_tf.structure.structure import Structure
from dsr_tf.structure.structure import channel_sets
from dsr_tf.structure.structure import cost

__all__ = [
    "ChannelSet",
    "Cost",
    "Slice",
    "Structure",
    "channel_sets",
    "cost",
    "elementwise",
    "mask",
    "narrow",
    "register",
]
