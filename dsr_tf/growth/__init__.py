"""From a seed to a network: connections and units that wake and go.

The policies of NeST (Dai, Yin & Jha, 2017) on a masked model of the widest
layout, of which only a seed is awake at the start.
"""

from dsr_tf.growth.bridges import bridging
from dsr_tf.growth.hyperparameters import GrowthHyperparameters
from dsr_tf.growth.planting import plant

__all__ = ["GrowthHyperparameters", "bridging", "plant"]
