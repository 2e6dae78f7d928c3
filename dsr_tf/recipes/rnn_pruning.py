"""`--method=rnn_pruning`: below thresholds that grow as training goes on."""

from typing import Any

from dsr_tf.pruning import LinearThreshold
from dsr_tf.recipes.registry import register
from dsr_tf.recipes.thresholds import Thresholds


class RnnPruning(Thresholds):
    """Pruning of recurrent networks (Narang et al., 2017), and of others.

    The paper's schedule unless flags say otherwise: from the end of the
    first epoch on, faster after a quarter, up to a half of all epochs.
    """

    name, rule = "rnn_pruning", LinearThreshold
    frequency = 100

    def defaults(self, experiment: Any, steps_per_epoch: int) -> dict[str, Any]:
        num_steps = experiment.epochs * steps_per_epoch
        return {
            "start": min(steps_per_epoch, num_steps // 4),
            "ramp": num_steps // 4,
            "end": num_steps // 2,
        }


register(RnnPruning())
