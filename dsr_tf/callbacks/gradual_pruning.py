"""The callback that prunes a dense model during `model.fit`."""

from collections.abc import Callable
from typing import Any

import keras
from absl import logging

from dsr_tf.callbacks.mask_callback import MaskCallback
from dsr_tf.layers import mask_density
from dsr_tf.layers.masked_weights import are_those_of
from dsr_tf.pruning import PruningHyperparameters
from dsr_tf.pruning.pruner import Pruner
from dsr_tf.reallocation.reallocator import Record


class GradualPruning(MaskCallback):
    """Gradual magnitude pruning (Zhu & Gupta, 2017).

    The paper's "compressed sparse". Every `pruning_frequency` updates the
    smallest weights of each masked kernel become inactive, as many as a
    polynomial schedule says. Start from a model whose weights are all
    active, `dsr_tf.sparsify(model, 0.0)`, best a trained one.

    Names and defaults are those of `tf.contrib.model_pruning`. Unlike
    there, the number of weights that stay is exact, a pruned weight never
    returns (it is stored as 0), and its optimizer slots start afresh. A
    pruning takes place before the next batch once the number of updates
    has been reached, see `Reallocation`.

    With granularity N:M each M consecutive weights keep their largest, as
    many as the schedule says, rounded, and at least N: start from
    `dsr_tf.sparsify(model, 0.0, granularity="2:4")`, and let the schedule
    end at sparsity 1 - N/M.

    At the end of each epoch `logs` gains `mask_density`. Frozen layers are
    not pruned. If nothing has been pruned when training ends, or another
    callback has set the model back to a denser state, a warning says so.

    Args:
        hyperparameters: A `dsr_tf.pruning.PruningHyperparameters`, or a
            comma-separated list `name=value` of them; or give them by name:
        listener: Callable that receives the `Record` of each pruning.
        model, optimizer: As of `Reallocation`.
        **by_name: Arguments of `PruningHyperparameters`.

    Raises:
        ValueError: if an argument is out of range; when training begins, if
            the model has no masked layers, blocks or the schedule do not fit
            its kernels, or the optimizer cannot keep weights at 0.

    Example:

    >>> model = dsr_tf.sparsify(dense, 0.0)
    >>> model.compile("sgd", "mse")
    >>> pruning = dsr_tf.callbacks.GradualPruning(
    ...     target_sparsity=0.9,
    ...     pruning_frequency=100,
    ...     sparsity_function_end_step=2000)
    >>> model.fit(x, y, callbacks=[pruning])
    """

    def __init__(
        self,
        hyperparameters: PruningHyperparameters | str | None = None,
        listener: Callable[[Record], None] | None = None,
        model: keras.Model | None = None,
        optimizer: keras.optimizers.Optimizer | None = None,
        **by_name: Any,
    ) -> None:
        super().__init__(model, optimizer, listener)
        if hyperparameters is None:
            hyperparameters = PruningHyperparameters(**by_name)
        elif by_name:
            raise ValueError(
                "Give `hyperparameters` or single ones by name, not both. "
                f"Received: {', '.join(by_name)} beside hyperparameters="
                f"{hyperparameters!r}"
            )
        elif isinstance(hyperparameters, str):
            hyperparameters = PruningHyperparameters.parse(hyperparameters)
        elif not isinstance(hyperparameters, PruningHyperparameters):
            raise ValueError(
                "`hyperparameters` must be a PruningHyperparameters or a "
                "comma-separated list of name=value. Received: "
                f"hyperparameters={hyperparameters!r}"
            )
        self.hyperparameters = hyperparameters
        # A `Pruner`, once `check` has made one.
        self._pruner: Any = None
        self._num_active: int | None = None

    def check(self, model: keras.Model) -> None:
        """Refuse a compiled model that this callback cannot prune.

        Raises:
            ValueError: as described for the class.
        """
        self._pruner = Pruner(self._model_given or model, self.hyperparameters)
        self._pruner.check(self._optimizer(model))

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if logs is None or not self._has_started:
            return
        self._masked_model()
        logs["mask_density"] = mask_density(self._pruner.masked)

    def _is_for(self, model: keras.Model) -> bool:
        return are_those_of(self._pruner.masked, model)

    def _start(
        self, model: keras.Model, optimizer: keras.optimizers.Optimizer
    ) -> None:
        self._num_active = None
        self._pruner.begin(optimizer, self._trained_model())

    def _look(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        step: int,
    ) -> int | None:
        last_step = min(step, self._pruner.read_state().last_step)
        if self.hyperparameters.is_due(step, last_step):
            record = self._pruner.step(optimizer, step)
            self._num_active, last_step = record.num_active, step
            self._report(record)
        due = self.hyperparameters.next_due(step, last_step)
        return None if due is None else due - step

    def _settle(self) -> None:
        self._pruner.clear(self._optimizer())
        reached, now = self._num_active, self._pruner.num_active
        if reached is not None and now > reached:
            # Once is enough.
            self._num_active = None
            logging.warning(
                "%s: the model has been set back to an earlier, denser state "
                "(%d active weights, where pruning had reached %d), perhaps "
                "by `restore_best_weights`.",
                type(self).__name__,
                now,
                reached,
            )

    def _why_nothing_changed(self, step: int) -> str | None:
        settings = self.hyperparameters
        if self._num_reports:
            return (
                f"its prunings up to update {step} found nothing to prune "
                f"from {self._pruner.num_active} active weights: the sparsity "
                f"of its schedule is {settings.sparsity_at(step):.4g} there"
            )
        end = settings.end_pruning_step
        until = f" up to update {end}" if end >= 0 else ""
        return (
            f"training ended at update {step} before any pruning: they are "
            f"due from update {settings.begin_pruning_step} on, every "
            f"{settings.pruning_frequency} updates{until}, each before the "
            "batch that follows"
        )
