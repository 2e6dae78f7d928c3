"""A `--method` for each method of reallocation that has a name for it.

Such a method is a file in `dsr_tf/methods`: its class says what it is called
(`flag_name`) and how flags make one (`from_settings`).
"""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Sequence
from typing import Any

import keras

from dsr_tf import callbacks
from dsr_tf.core import period as periods
from dsr_tf.layers import masked_weights
from dsr_tf.methods import METHODS
from dsr_tf.methods import Method
from dsr_tf.recipes.network import sparsify
from dsr_tf.recipes.recipe import Recipe
from dsr_tf.recipes.registry import register


class Reallocating(Recipe):
    """Masks of a fixed number of active weights, moved by a method.

    Args:
        method: A subclass of `Method` with a `flag_name`.

    Attributes:
        method: That class.

    Raises:
        ValueError: if it has no `flag_name`.
    """

    has_masks = stores_active = True
    method: type[Method]

    def __init__(self, method: type[Method]) -> None:
        if method.flag_name is None:
            raise ValueError(
                "`method` must be a class with a `flag_name`. Received: "
                f"method={method.__name__}"
            )
        self.name, self.method = method.flag_name, method

    def convert(self, experiment: Any, dense: keras.Model) -> keras.Model:
        return sparsify(experiment, dense)

    def callback(
        self,
        experiment: Any,
        model: keras.Model,
        steps_per_epoch: int,
        listener: Callable | None = None,
        images: Callable[[], Any] | None = None,
    ) -> keras.callbacks.Callback:
        num_active = sum(w.num_active for w in masked_weights(model))
        return callbacks.Reallocation(
            self.method.from_settings(experiment, num_active, steps_per_epoch),
            periods.in_updates(experiment.period, steps_per_epoch),
            stop_epoch=experiment.stop_epoch,
            seed=experiment.seed,
            listener=listener,
            model=model,
        )

    def dense_gradients(
        self,
        experiment: Any,
        num_active: int,
        moved: Sequence[int],
        num_steps: int,
        steps_per_epoch: int,
    ) -> Collection[int]:
        method = self.method.from_settings(
            experiment, num_active, steps_per_epoch
        )
        if method.dense_gradients == "never":
            return ()
        if method.dense_gradients == "before":
            return [step - 1 for step in moved]
        end = num_steps
        if experiment.stop_epoch is not None:
            end = min(end, experiment.stop_epoch * steps_per_epoch)
        is_over = (step for step in range(end) if method.is_over(step))
        return range(next(is_over, end))


for method in METHODS.values():
    register(Reallocating(method))
