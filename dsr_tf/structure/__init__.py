"""Whole channels: found, counted, chosen, removed.

sets = dsr_tf.structure.channel_sets(model)
keep = {sets[0].name: scores > threshold}
smaller = dsr_tf.structure.narrow(model, keep)
"""

from dsr_tf.structure.choice.choose import above
from dsr_tf.structure.choice.choose import globally
from dsr_tf.structure.choice.choose import largest
from dsr_tf.structure.choice.choose import share
from dsr_tf.structure.choice.choose import to_budget
from dsr_tf.structure.choice.penalties import group_penalties
from dsr_tf.structure.choice.scores import norm
from dsr_tf.structure.choice.scores import scale
from dsr_tf.structure.graph.branches import Branch
from dsr_tf.structure.graph.branches import branches
from dsr_tf.structure.graph.branches import drop_branches
from dsr_tf.structure.graph.call import Call
from dsr_tf.structure.graph.call import CannotFollow
from dsr_tf.structure.graph.call import Channels
from dsr_tf.structure.graph.channels import ChannelSet
from dsr_tf.structure.graph.channels import Slice
from dsr_tf.structure.graph.cost import Cost
from dsr_tf.structure.graph.structure import Structure
from dsr_tf.structure.graph.structure import channel_sets
from dsr_tf.structure.graph.structure import cost
from dsr_tf.structure.methods.brain_damage import brain_damage
from dsr_tf.structure.methods.l1_filters import l1_filters
from dsr_tf.structure.methods.lasso import lasso
from dsr_tf.structure.methods.pfa import pfa
from dsr_tf.structure.methods.slimming import slimming
from dsr_tf.structure.methods.ssl import ssl
from dsr_tf.structure.methods.sss import sss
from dsr_tf.structure.methods.thinet import thinet
from dsr_tf.structure.removal.active_cost import active_cost
from dsr_tf.structure.removal.constants import fold_constants
from dsr_tf.structure.removal.masking import mask
from dsr_tf.structure.removal.narrowing import narrow
from dsr_tf.structure.removal.recalibration import recalibrate
from dsr_tf.structure.removal.scales import fold_scales
from dsr_tf.structure.removal.scales import insert_scales
from dsr_tf.structure.removal.shrinking import shrink_windows
from dsr_tf.structure.removal.zero_branches import zero_branches
from dsr_tf.structure.removal.zero_units import zero_units
from dsr_tf.structure.rules import register
from dsr_tf.structure.rules.elementwise import elementwise
from dsr_tf.structure.statistics.probe import contributions
from dsr_tf.structure.statistics.probe import responses
from dsr_tf.structure.statistics.probe import window_moments

__all__ = [
    "Branch",
    "Call",
    "CannotFollow",
    "ChannelSet",
    "Channels",
    "Cost",
    "Slice",
    "Structure",
    "above",
    "active_cost",
    "brain_damage",
    "branches",
    "channel_sets",
    "contributions",
    "cost",
    "drop_branches",
    "elementwise",
    "fold_constants",
    "fold_scales",
    "globally",
    "group_penalties",
    "insert_scales",
    "l1_filters",
    "largest",
    "lasso",
    "mask",
    "narrow",
    "norm",
    "pfa",
    "recalibrate",
    "register",
    "responses",
    "scale",
    "share",
    "shrink_windows",
    "slimming",
    "ssl",
    "sss",
    "thinet",
    "to_budget",
    "window_moments",
    "zero_branches",
    "zero_units",
]
