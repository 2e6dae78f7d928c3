"""The callback that reallocates weights during `model.fit`."""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import keras
from absl import logging

from dsr_tf.callbacks import updates_per_call
from dsr_tf.callbacks.mask_callback import MaskCallback
from dsr_tf.core import draws
from dsr_tf.core import period as periods
from dsr_tf.core.checks import is_integer
from dsr_tf.core.schedule import Schedule
from dsr_tf.layers import mask_density
from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.methods.adaptive import Adaptive
from dsr_tf.methods.gradient_gate import close_window
from dsr_tf.methods.method import Method
from dsr_tf.reallocation.reallocator import Reallocator
from dsr_tf.reallocation.record import Record
from dsr_tf.reallocation.state import ReallocationState


class Reallocation(MaskCallback):
    """Moves the active weights of a model every `period` updates.

    The number of active weights never changes. A reallocation takes place
    before the next batch once `optimizer.iterations` has reached a multiple
    of the period, as in the authors' code, so never between the last update
    and the end of training: newly grown weights are always trained before
    they are evaluated. With `steps_per_execution` above 1 it is the first
    execution at or after the multiple, exactly the multiple where the
    period is divisible by it.

    All state lives in variables of the model (`ReallocationState`): a model
    restored from any kind of checkpoint goes on where it was.

    At the end of each epoch `logs` gains `mask_density`, `num_reallocated`
    (weights moved in the epoch's last reallocation, 0 if there was none)
    and, where the method has one, `threshold`.

    Args:
        method: A `dsr_tf.methods.Method`, such as `dsr_tf.methods.DSR()`;
            None for `Adaptive()`.
        period: Updates between two reallocations: an integer, or a schedule
            `{first_epoch: integer}` with epochs counted from 0; or `"auto"`,
            five reallocations in an epoch and half as many from epochs 25,
            50 and 75 on (`dsr_tf.core.period`), by the number of steps that
            `fit` knows. Where it does not know, as for a generator, and
            without `fit`, an epoch counts as 500 updates all along, also
            once its length is known, and a line in the log says so.
        stop_epoch: First epoch (from 0) without reallocation; None for
            never.
        seed: Integer that random growth depends on. None draws one and
            keeps it in the model.
        listener: Callable that receives the `Record` of each reallocation.
        model: The Keras model whose weights move, where `fit` trains one
            that it is a part of, or in a loop of your own; None for the one
            that `fit` trains.
        optimizer: The optimizer that trains the masked weights, where that
            is not the model's own: its updates count.

    Raises:
        ValueError: if an argument is out of range; when training begins, if
            the model has no masked layers, or all are frozen, or too few
            active weights for the method, or the optimizer cannot keep
            weights at 0 or does not train them, or another `Reallocation`
            of the same `fit` moves the same weights.
        TypeError: if `method` is not a method, `model` no Keras model.

    Example:

    >>> model = dsr_tf.sparsify(model, 0.9)
    >>> model.compile("sgd", "mse")
    >>> method = dsr_tf.methods.DSR(num_reallocated=0.1)
    >>> reallocation = dsr_tf.callbacks.Reallocation(method, period=100)
    >>> model.fit(x, y, callbacks=[reallocation])

    Without `fit`:

    >>> reallocation = dsr_tf.callbacks.Reallocation(
    ...     method, period=100, model=model, optimizer=optimizer)
    >>> reallocation.begin()
    >>> for epoch in range(epochs):
    ...     for batch in batches:
    ...         reallocation.before_step(epoch)
    ...         train_step(batch)
    >>> reallocation.end()
    """

    def __init__(
        self,
        method: Method | None = None,
        period: int | Mapping[int, int] | str | Schedule = "auto",
        stop_epoch: int | None = None,
        seed: int | None = None,
        listener: Callable[[Record], None] | None = None,
        model: keras.Model | None = None,
        optimizer: keras.optimizers.Optimizer | None = None,
    ) -> None:
        super().__init__(model, optimizer, listener)
        method = Adaptive() if method is None else method
        if not isinstance(method, Method):
            raise TypeError(
                "`method` must be an instance of a method of "
                f"`dsr_tf.methods`, such as DSR(). Received: method={method!r}"
            )
        if stop_epoch is not None and (
            not is_integer(stop_epoch) or stop_epoch < 0
        ):
            raise ValueError(
                "`stop_epoch` must be None or an integer of at least 0. "
                f"Received: stop_epoch={stop_epoch!r}"
            )
        if seed is not None:
            draws.check_seed(seed)
        self.method = method
        self.period = periods.get(period)
        self.stop_epoch = stop_epoch
        self.seed = seed
        self._last_record: Record | None = None
        self._first_count = 0
        # A `Reallocator`, once `check` has made one.
        self._reallocator: Any = None
        self._warned = False
        # The period in updates, and the method as it is for a training,
        # once they are asked for in one.
        self._schedule: Schedule | None = None
        self._method: Method | None = None

    def check(self, model: keras.Model) -> None:
        """Refuse a compiled model that this callback cannot train.

        Raises:
            ValueError: as described for the class.
        """
        masked = self._model_given or model
        trained = self._trained_model() or model
        if self._reallocator is None or not self._reallocator.is_for(
            masked, trained
        ):
            self._reallocator = Reallocator(masked, self.method, trained)
        self._reallocator.check(self._optimizer(model))

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        # This training may have other epochs.
        self._schedule = self._method = None
        super().on_train_begin(logs)

    def begin(self) -> None:
        self._schedule = self._method = None
        super().begin()

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        super().on_epoch_begin(epoch, logs)
        self._last_record = None

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if not self._has_started:
            return
        # Asked for so that its variables are up to date.
        self._masked_model()
        self._reallocator.clean(self._optimizer())
        if logs is None:
            return
        logs["mask_density"] = mask_density(self._reallocator.masked)
        if self.method.moves_weights:
            record = self._last_record
            logs["num_reallocated"] = record.num_grown if record else 0
            threshold = self.method.threshold(self._reallocator.read_state())
            if threshold is not None:
                logs["threshold"] = threshold

    def _is_for(self, model: keras.Model) -> bool:
        return self._reallocator.is_for(model, self._trained_model())

    def _changing(self) -> list[MaskedWeight]:
        return self._reallocator.moving if self.method.moves_weights else []

    def _described(self) -> str:
        return f"{super()._described()} with {self.method}"

    def _start(
        self, model: keras.Model, optimizer: keras.optimizers.Optimizer
    ) -> None:
        self._reallocator.begin(optimizer, self._epoch)
        self._first_count = self._reallocator.read_state().num_reallocations

    def _set_epoch(self, epoch: int) -> None:
        super()._set_epoch(epoch)
        if self._has_started:
            self._reallocator.hook.begin_epoch(epoch)

    def _look(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        step: int,
    ) -> int | None:
        if not self.method.moves_weights:
            return None
        reallocator, hook = self._reallocator, self._reallocator.hook
        reallocator.method = self._method_now(step)
        # Every reading waits for the device: what the method keeps is read
        # where it moves weights only.
        state = ReallocationState.read(reallocator.masked)
        self._settle_start(state, step)
        period, is_over = self._period_now(), self._is_over(step)
        is_due = not is_over and step // period > state.last_step // period
        if is_due and hook.is_ready(state.last_step, step):
            record = reallocator.step(optimizer, step)
            self._last_record = record
            self._report(record)
        else:
            if hook.is_pending(state.last_step, step) or (
                is_over and hook.is_open
            ):
                # Gradients that no reallocation is going to use.
                reallocator.clear(optimizer)
                hook.close()
            if is_due:
                # Without the gradients that it needs, until the next.
                state.last_step = step
                state.write(reallocator.masked)
        if is_over:
            return None
        to_go = period - step % period
        hook.open(step, step + to_go)
        self._warn_if_late(period)
        return to_go - 1 if hook.looks_before and to_go > 1 else to_go

    def _finish(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        step: int,
    ) -> None:
        self._num_changed += self._reallocator.end(optimizer)

    def _settle(self) -> None:
        # What slots have gathered is needed where training goes on.
        gathers = self._reallocator.hook.gathers_gradients
        if not (self._is_held_open and gathers):
            self._reallocator.clear(self._optimizer())
        if self._is_held_open:
            self._reallocator.hook.settle()
        else:
            close_window(self._reallocator.masked)

    def _why_nothing_changed(self, step: int) -> str | None:
        if not self.method.moves_weights:
            return None
        if self._num_reports:
            return (
                "reallocations took place, and found no weight to move by "
                f"{self.method}"
            )
        if self._is_over(step):
            return (
                f"it is over after update {step} (stop_epoch="
                f"{self.stop_epoch}, {self._method_now(step)}), and none was "
                f"due before by period={self._schedule or self.period}"
            )
        count = self._reallocator.read_state().num_reallocations
        if count > self._first_count:
            return (
                "another callback has reallocated the same weights before it "
                "each time; a model takes one method at a time"
            )
        updates = step - self._first_step
        return (
            f"after {updates} update{'s' if updates != 1 else ''}, up to "
            f"number {step}, "
            "none was begun with a reallocation due by period="
            f"{self._schedule or self.period}"
        )

    def _period_now(self) -> int:
        if self._schedule is None:
            self._schedule = periods.in_updates(
                self.period, self._updates_per_epoch()
            )
        return int(self._schedule(self._epoch))

    def _method_now(self, step: int) -> Method:
        """The method, of which some say what they do by the length of the
        training."""
        if self._method is None:
            first_step, last_step = step, None
            known = self._known_updates_per_epoch()
            epochs = (self.params or {}).get("epochs")
            if known and epochs and not self._is_held_open:
                # A new optimizer counts from 0, whatever the epoch is.
                first_step = max(0, step - self._epoch * known)
                last_step = step + (epochs - self._epoch) * known
            self._method = self.method.for_training(first_step, last_step)
        return self._method

    def _known_updates_per_epoch(self) -> int | None:
        steps = (self.params or {}).get("steps")
        if not steps:
            return None
        return int(steps) // updates_per_call.gathered(self._optimizer())

    def _updates_per_epoch(self) -> int:
        known = self._known_updates_per_epoch()
        if known is not None:
            return known
        if isinstance(self.period, periods.AutomaticPeriod):
            logging.warning(
                "Reallocation: nothing says how many steps an epoch has, so "
                "period='auto' takes it for %d updates.",
                periods.UNKNOWN_STEPS_PER_EPOCH,
            )
        return periods.UNKNOWN_STEPS_PER_EPOCH

    def _is_over(self, step: int) -> bool:
        stopped = self.stop_epoch is not None and self._epoch >= self.stop_epoch
        return stopped or self._method_now(step).is_over(step)

    def _settle_start(self, state: ReallocationState, step: int) -> None:
        """Settle the seed and the step that reallocation counts from."""
        if self.seed is not None:
            seed = self.seed
        else:
            seed = draws.check_seed(state.seed)
        # A model that trained without reallocation so far has not missed
        # any; and a new optimizer starts to count from 0 again.
        last_step = state.last_step
        if state.seed is None or step < last_step:
            last_step = step
        if (seed, last_step) != (state.seed, state.last_step):
            state.seed, state.last_step = seed, last_step
            state.write(self._reallocator.masked)

    def _warn_if_late(self, period: int) -> None:
        if self._warned or self._optimizer_given is not None:
            return
        late = updates_per_call.why_late(self._trained_model(), period)
        if late:
            self._warned = True
            logging.warning("Reallocation: %s.", late)
