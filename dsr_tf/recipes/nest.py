"""`--method=nest`: a seed grows, and is pruned while accuracy allows."""

import dataclasses
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from dsr_tf import callbacks
from dsr_tf.growth import GrowthHyperparameters
from dsr_tf.growth import plant
from dsr_tf.pruning import named_values
from dsr_tf.recipes.narrowing import examples
from dsr_tf.recipes.network import masked
from dsr_tf.recipes.pruning_hparams import check_integers
from dsr_tf.recipes.pruning_hparams import naming_them
from dsr_tf.recipes.pruning_hparams import scaled_steps
from dsr_tf.recipes.recipe import Recipe
from dsr_tf.recipes.registry import register

# Numbers of updates, and the least of each.
_STEPS = {"frequency": 1, "end": 1}


@dataclasses.dataclass(frozen=True)
class _Hyperparameters(GrowthHyperparameters):
    """With the seed's share of the units; its share of connections is what
    `--sparsity` leaves."""

    seed_width: float = 0.4

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.seed_width <= 1:
            self._refuse("seed_width", "a number above 0 and at most 1")


class Nest(Recipe):
    """NeST (Dai, Yin & Jha, 2017).

    `--width` is that of the widest layout. Growth and the target look at
    `--num_examples` of the training images.
    """

    name = "nest"
    has_masks = True
    named_flag = "pruning_hparams"
    why_uncounted = "growth looks at examples of its own"

    def check(self, experiment: Any) -> None:
        with naming_them(experiment):
            # Scaled, they are checked with --schedule_scale.
            check_integers(vars(_unscaled(experiment)))

    def scaled(self, experiment: Any) -> dict:
        if experiment.schedule_scale == 1:
            return {}
        steps = scaled_steps(
            vars(_unscaled(experiment)), _STEPS, experiment.schedule_scale
        )
        values = {**_given(experiment), **steps}
        return {"pruning_hparams": named_values.written(values)}

    def convert(self, experiment: Any, dense: keras.Model) -> keras.Model:
        model = masked(experiment, dense)
        plant(
            model,
            1 - experiment.sparsity,
            _unscaled(experiment).seed_width,
            experiment.seed,
        )
        return model

    def callback(
        self,
        experiment: Any,
        model: keras.Model,
        steps_per_epoch: int,
        listener: Callable | None = None,
        images: Callable[[], Any] | None = None,
    ) -> keras.callbacks.Callback:
        assert images is not None
        batches = list(examples(experiment, images()).as_numpy_iterator())
        x, y = (np.concatenate(arrays) for arrays in zip(*batches))
        return callbacks.GrowAndPrune(
            (x, y),
            _unscaled(experiment),
            seed=experiment.seed,
            listener=listener,
            model=model,
        )

    def steps_between(self, experiment: Any) -> Iterable[int]:
        return (_unscaled(experiment).frequency,)


def _given(experiment: Any) -> dict[str, Any]:
    return named_values.parse(_Hyperparameters, experiment.pruning_hparams, {})


def _unscaled(experiment: Any) -> _Hyperparameters:
    return _Hyperparameters(**_given(experiment))


register(Nest())
