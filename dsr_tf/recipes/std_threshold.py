"""`--method=std_threshold`: below a multiple of the weights' deviation."""

from typing import Any

from dsr_tf.pruning import StdThreshold
from dsr_tf.recipes.registry import register
from dsr_tf.recipes.thresholds import Thresholds


class DeviationThreshold(Thresholds):
    """Pruning of a trained network (Han et al., 2015).

    The first step of Deep Compression (Han et al., 2016). Once an epoch up
    to the middle of the training unless flags say otherwise.
    """

    name, rule = "std_threshold", StdThreshold

    def defaults(self, experiment: Any, steps_per_epoch: int) -> dict[str, Any]:
        return {"end": experiment.epochs * steps_per_epoch // 2 + 1}


register(DeviationThreshold())
