"""`mask="random"`: any places."""

import numpy as np

from dsr_tf.conversion.initial_mask import OfEachKernel
from dsr_tf.layers import MaskedWeight


class Random(OfEachKernel):
    """Groups drawn at random, all alike."""

    name = "random"

    def choose(
        self,
        weight: MaskedWeight,
        num_active_groups: int,
        generator: np.random.Generator,
    ) -> np.ndarray:
        return weight.grouping.random_mask(num_active_groups, generator)
