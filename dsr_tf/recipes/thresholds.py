"""What methods share that prune weights below thresholds."""

from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

import keras

from dsr_tf import callbacks
from dsr_tf.pruning import named_values
from dsr_tf.pruning.threshold import Threshold
from dsr_tf.recipes.network import masked
from dsr_tf.recipes.pruning_hparams import check_integers
from dsr_tf.recipes.pruning_hparams import naming_them
from dsr_tf.recipes.pruning_hparams import scaled_steps
from dsr_tf.recipes.recipe import Recipe

# Arguments of rules that count updates, and the least of each.
_STEPS = {"start": 0, "ramp": 0, "end": 1, "frequency": 1}


class Thresholds(Recipe):
    """Base of these recipes; `--pruning_hparams` are arguments of the rule.

    Attributes:
        rule: Class of the rule; its `number` must be given.
        frequency: Updates between two prunings unless flags say otherwise,
            before `--schedule_scale`; None for an epoch.
    """

    has_masks = stores_active = True
    named_flag = "pruning_hparams"
    rule: type[Threshold]
    frequency: int | None = None

    def defaults(self, experiment: Any, steps_per_epoch: int) -> dict[str, Any]:
        """Arguments of the rule that follow from the length of the run."""
        raise NotImplementedError

    def has_density(self, experiment: Any) -> bool:
        return False

    def check(self, experiment: Any) -> None:
        with naming_them(experiment):
            values = self._given(experiment)
            if self.rule.number not in values:
                raise ValueError(
                    f"--method={self.name} needs {self.rule.number}=NUMBER, or "
                    f"{self.rule.number}=[REGEX:NUMBER,...] for some kernels"
                )
            steps = {n: v for n, v in values.items() if n in _STEPS}
            check_integers(steps)

    def scaled(self, experiment: Any) -> dict:
        if experiment.schedule_scale == 1:
            return {}
        values = self._given(experiment)
        values |= scaled_steps(values, _STEPS, experiment.schedule_scale)
        return {"pruning_hparams": named_values.written(values)}

    def convert(self, experiment: Any, dense: keras.Model) -> keras.Model:
        return masked(experiment, dense)

    def callback(
        self,
        experiment: Any,
        model: keras.Model,
        steps_per_epoch: int,
        listener: Callable | None = None,
        images: Callable[[], Any] | None = None,
    ) -> keras.callbacks.Callback:
        arguments: Any = {
            "frequency": steps_per_epoch,
            **self.defaults(experiment, steps_per_epoch),
            **self._given(experiment),
        }
        return callbacks.ThresholdPruning(
            self.rule(**arguments), listener, model=model
        )

    def steps_between(self, experiment: Any) -> Iterable[int]:
        given = self._given(experiment)
        return (given["frequency"],) if "frequency" in given else ()

    def _given(self, experiment: Any) -> dict[str, Any]:
        """Arguments of the rule that do not follow from the run."""
        given = named_values.parse(self.rule, experiment.pruning_hparams, {})
        if self.frequency is None:
            return given
        return {"frequency": self.frequency, **given}
