"""`mask="snip"`: the weights that the loss of a batch depends on most."""

import numpy as np
from keras import ops

from dsr_tf.conversion.gradients import mean_gradients
from dsr_tf.conversion.initial_mask import OfAllKernels
from dsr_tf.conversion.initial_mask import Request
from dsr_tf.conversion.initial_mask import magnitudes


class Snip(OfAllKernels):
    """Single-shot network pruning (Lee, Ajanthan & Torr, ICLR 2019).

    The saliency of a connection is `|gradient * weight|`: the magnitude of
    the derivative of the loss by a factor of 1 on the weight (equation 4),
    with all weights there. It is that of the loss of the data alone, without
    penalties, and in inference mode, as in the authors' code
    (`is_train: False`): batch normalization reads its statistics and changes
    none, and dropout drops nothing. Dividing by the sum of all saliencies, as
    the paper does, changes no order.

    Beyond the paper: every kernel keeps a group; the score of several
    weights together is the mean of theirs; biases have no masks here.
    """

    name = "snip"
    needs_data = True

    def scores(self, request: Request) -> list[np.ndarray]:
        assert request.batch is not None
        for weight in request.weights:
            magnitudes(weight)  # Refuses what is not finite.
            weight.set_mask(np.ones(weight.grouping.num_groups, "bool"))
        gradients = mean_gradients(
            request.model,
            [weight.kernel for weight in request.weights],
            request.batch,
        )
        scores = []
        for weight, gradient in zip(request.weights, gradients):
            kernel = ops.convert_to_numpy(weight.kernel).astype("float32")
            saliency = weight.grouping.scores_of(gradient * kernel)
            scores.append(ops.convert_to_numpy(saliency))
        if not any(kernel.any() for kernel in scores):
            raise ValueError(
                f"`mask='snip'`: the loss of model '{request.model.name}' on "
                "`data` depends on no weight, so there is no order"
            )
        return scores
