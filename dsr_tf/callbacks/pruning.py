"""What callbacks that prune a dense model during `model.fit` share."""

from collections.abc import Callable
from typing import Any

import keras
from absl import logging

from dsr_tf.callbacks.mask_callback import MaskCallback
from dsr_tf.layers import mask_density
from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.layers.masked_weights import are_those_of
from dsr_tf.pruning.pruner import Pruner
from dsr_tf.pruning.rule import Rule
from dsr_tf.reallocation.record import Record


class Pruning(MaskCallback):
    """Base of the callbacks that prune by a rule.

    At the end of each epoch `logs` gains `mask_density`. If nothing has been
    pruned when training ends, if its schedule had more to prune, or another
    callback has set the model back to a denser state, a warning says so.

    Args:
        rule: A `dsr_tf.pruning.Rule`.
        listener, model, optimizer: As of `Reallocation`.
    """

    def __init__(
        self,
        rule: Rule,
        listener: Callable[[Record], None] | None = None,
        model: keras.Model | None = None,
        optimizer: keras.optimizers.Optimizer | None = None,
    ) -> None:
        super().__init__(model, optimizer, listener)
        self.rule = rule
        # A `Pruner`, once `check` has made one.
        self._pruner: Any = None
        self._num_active: int | None = None

    def check(self, model: keras.Model) -> None:
        """Refuse a compiled model that this callback cannot prune.

        Raises:
            ValueError: as described for the class.
        """
        self._pruner = Pruner(self._model_given or model, self.rule)
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

    def _changing(self) -> list[MaskedWeight]:
        return self._pruner.trained

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
        last_step = self._pruner.last_step(step)
        if self.rule.is_due(step, last_step):
            record = self._pruner.step(optimizer, step)
            self._num_active, last_step = record.num_active, step
            self._report(record)
        due = self.rule.next_due(step, last_step)
        return None if due is None else due - step

    def _end_training(self) -> None:
        super()._end_training()
        if not self._num_changed:
            return
        missing = self.rule.unfinished(self._pruner.read_state().last_step)
        if missing:
            logging.warning(
                "%s ended before its schedule did: %s.",
                type(self).__name__,
                missing,
            )

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
        if self._num_reports:
            return (
                f"its prunings up to update {step} found nothing to prune "
                f"from {self._pruner.num_active} active weights: "
                f"{self.rule.why_in_vain(step)}"
            )
        return (
            f"training ended at update {step} before any pruning: they are "
            f"due {self.rule.why_not_due()}, each before the batch that "
            "follows"
        )
