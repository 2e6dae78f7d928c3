"""`mask="global_magnitude"`: the largest weights of the model."""

import numpy as np

from dsr_tf.conversion.initial_mask import OfAllKernels
from dsr_tf.conversion.initial_mask import Request
from dsr_tf.conversion.initial_mask import magnitudes


class GlobalMagnitude(OfAllKernels):
    """The groups of the largest mean magnitude of all kernels together."""

    name = "global_magnitude"

    def scores(self, request: Request) -> list[np.ndarray]:
        return [magnitudes(weight) for weight in request.weights]
