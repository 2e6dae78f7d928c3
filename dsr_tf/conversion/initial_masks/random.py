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
        num_groups = weight.grouping.num_groups
        mask = np.zeros(num_groups, "bool")
        mask[
            generator.choice(
                num_groups, num_active_groups, replace=False, shuffle=False
            )
        ] = True
        return mask
