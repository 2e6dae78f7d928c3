"""`mask="magnitude"`: the largest weights of each kernel."""

import numpy as np

from dsr_tf.conversion.initial_mask import OfEachKernel
from dsr_tf.conversion.initial_mask import magnitudes
from dsr_tf.layers import MaskedWeight


class Magnitude(OfEachKernel):
    """The groups of the largest mean magnitude; of equals the first."""

    name = "magnitude"

    def choose(
        self,
        weight: MaskedWeight,
        num_active_groups: int,
        generator: np.random.Generator,
    ) -> np.ndarray:
        scores = magnitudes(weight)
        return weight.grouping.largest_mask(scores, num_active_groups)
