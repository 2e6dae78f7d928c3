"""`--method=gradual`: dense at the start, pruned as training goes on."""

from collections.abc import Callable
from typing import Any

import keras

from dsr_tf import callbacks
from dsr_tf.pruning import PruningHyperparameters
from dsr_tf.recipes.network import masked
from dsr_tf.recipes.pruning_hparams import check_integers
from dsr_tf.recipes.pruning_hparams import naming_them
from dsr_tf.recipes.recipe import Recipe
from dsr_tf.recipes.registry import register


class Gradual(Recipe):
    """Gradual magnitude pruning (Zhu & Gupta, 2017)."""

    name = "gradual"
    has_masks = stores_active = True
    named_flag = "pruning_hparams"

    def check(self, experiment: Any) -> None:
        with naming_them(experiment):
            # Scaled, they are checked with --schedule_scale.
            check_integers(vars(_unscaled(experiment)))

    def scaled(self, experiment: Any) -> dict:
        if experiment.schedule_scale == 1:
            return {}
        return {"pruning_hparams": str(_hyperparameters(experiment))}

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
        return callbacks.GradualPruning(
            _hyperparameters(experiment), listener, model=model
        )

    def steps_between(self, experiment: Any) -> tuple[int, int]:
        hyperparameters = _hyperparameters(experiment)
        return (
            hyperparameters.begin_pruning_step,
            hyperparameters.pruning_frequency,
        )


def _unscaled(experiment: Any) -> PruningHyperparameters:
    return PruningHyperparameters.parse(
        experiment.pruning_hparams, target_sparsity=experiment.sparsity
    )


def _hyperparameters(experiment: Any) -> PruningHyperparameters:
    return _unscaled(experiment).scaled(experiment.schedule_scale)


register(Gradual())
