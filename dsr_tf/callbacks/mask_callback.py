"""What callbacks that change masks share: when they begin, look and end."""

from collections.abc import Callable
from typing import Any

import keras
from absl import logging
from keras import ops

from dsr_tf.callbacks import one_mover
from dsr_tf.callbacks import updates_per_call
from dsr_tf.callbacks.keras_limits import check_replicas
from dsr_tf.callbacks.last_of_all import when_all_have_ended
from dsr_tf.layers import masked_weights
from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.reallocation.record import Record


class MaskCallback(keras.callbacks.Callback):
    """Base of the callbacks that change masks between training steps.

    In `fit` it begins and ends with the training. A loop without `fit`, or
    a training of several calls of it, says `begin()` and `end()`, and
    `before_step(epoch)` before each step of its own.

    Args:
        model: The Keras model whose masks change; None for the one that
            `fit` trains. Give it where they are in a part of that model, or
            in a loop of your own.
        optimizer: The optimizer that trains the masked weights and counts
            the updates; None for the model's own.
        listener: Callable that receives the `Record` of each change.

    Raises:
        TypeError: if an argument is none of these.
    """

    def __init__(
        self,
        model: keras.Model | None = None,
        optimizer: keras.optimizers.Optimizer | None = None,
        listener: Callable[[Record], None] | None = None,
    ) -> None:
        super().__init__()
        if model is not None and not isinstance(model, keras.Model):
            raise TypeError(
                "`model` must be None or a Keras model. "
                f"Received: model={model!r}"
            )
        if optimizer is not None and not hasattr(optimizer, "iterations"):
            raise TypeError(
                "`optimizer` must be None or a Keras optimizer. "
                f"Received: optimizer={optimizer!r}"
            )
        if listener is not None and not callable(listener):
            raise TypeError(
                "`listener` must be None or callable. "
                f"Received: listener={listener!r}"
            )
        self.listener = listener
        self._model_given, self._optimizer_given = model, optimizer
        # Training goes on over several calls of `fit`, or without it.
        self._is_held_open = False
        self._has_started = False
        self._first_step = self._num_calls = 0
        self._num_changed = self._num_reports = 0
        self._started_with = None
        self._epoch = 0
        self._calls_to_skip: float = 0

    # For subclasses.

    def check(self, model: keras.Model) -> None:
        """Refuse a compiled model that this callback cannot train.

        Raises:
            ValueError: as described for the class.
        """
        raise NotImplementedError

    def _is_for(self, model: keras.Model) -> bool:
        """Whether what has been begun is for a model as it is now."""
        raise NotImplementedError

    def _changing(self) -> list[MaskedWeight]:
        """The weights whose masks it changes, once `check` has been called."""
        raise NotImplementedError

    def _described(self) -> str:
        """What a message calls it."""
        return f"`{type(self).__name__}`"

    def _start(
        self, model: keras.Model, optimizer: keras.optimizers.Optimizer
    ) -> None:
        """Begin with a model that `check` has accepted."""

    def _look(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        step: int,
    ) -> int | None:
        """Change masks where that is due.

        Returns:
            Number of updates until something may be due again; None for
            never in this epoch.
        """
        raise NotImplementedError

    def _finish(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        step: int,
    ) -> None:
        """End; the model may be used for anything afterwards."""

    def _why_nothing_changed(self, step: int) -> str | None:
        """The reason, where a training has changed no mask; None where
        none was to be expected."""
        return None

    # A training without `fit`, or of several calls of it.

    def begin(self) -> None:
        """Begin a training that is not one call of `fit`.

        It must come before the first training step, since what a method
        does inside of the step is compiled with it. Then give
        `before_step` or call `fit`, as often as you like, and `end`.

        Raises:
            ValueError: as described for the class; or if `model` was not
                given, or has not been built.
        """
        if self._model_given is None and self._model is None:
            raise ValueError(
                f"`{type(self).__name__}.begin()` needs to know the model: "
                "give `model=` to the constructor."
            )
        if not self._is_built():
            raise ValueError(
                f"Model '{self._masked_model().name}' is not built yet: call "
                "it on data, or `model.build(input_shape)`, first."
            )
        self._is_held_open, self._num_calls = True, 0
        self._start_training()

    def before_step(self, epoch: int = 0) -> None:
        """Change masks where that is due; call it before each step.

        Args:
            epoch: The current epoch, from 0, which schedules depend on.

        Raises:
            RuntimeError: before `begin`.
        """
        if not self._is_held_open:
            raise RuntimeError(
                f"Call `{type(self).__name__}.begin()` before `before_step()`."
            )
        if epoch != self._epoch or not self._num_calls:
            self._set_epoch(epoch)
        self._num_calls += 1
        self._look_now()

    def end(self) -> None:
        """End a training that `begin` began, or that was broken off."""
        self._is_held_open = False
        if self._has_started:
            self._end_training()

    # Keras' own.

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        check_replicas(self.model, self.params)
        when_all_have_ended(self.model, self._settle_last)
        if self._is_held_open:
            one_mover.claim(self, self._described(), self._changing())
            self._begin_again_if_changed()
            return
        self._has_started, self._num_calls = False, 0
        # A subclassed model may be built by its first batch only.
        if self._is_built():
            self._start_training()

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._set_epoch(epoch)

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._num_calls += 1
        if self._calls_to_skip > 0:
            self._calls_to_skip -= 1
            return
        if not self._has_started:
            if not self._is_built():
                return
            self._start_training()
        to_go = self._look_now()
        per_call = self._updates_per_call()
        if to_go is None:
            self._calls_to_skip = float("inf")
        elif per_call is not None:
            # Reading the number of updates waits for the device, so it is
            # read only where what is due can have been reached.
            self._calls_to_skip = -(-to_go // per_call) - 1

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._has_started and not self._is_held_open:
            self._end_training()
        elif not self._has_started:
            self._warn(
                "no step came after its layers had been built"
                if self._is_built()
                else "it found no masked layers that have been built"
            )

    # The rest.

    def _start_training(self) -> None:
        model, optimizer = self._masked_model(), self._optimizer()
        self.check(model)
        one_mover.claim(self, self._described(), self._changing())
        self._start(model, optimizer)
        self._has_started = True
        self._first_step, self._started_with = self._step(), optimizer
        self._num_changed = self._num_reports = 0

    def _begin_again_if_changed(self) -> None:
        """Layers may have been frozen since `begin`, or the model compiled
        with another optimizer."""
        model, optimizer = self._masked_model(), self._optimizer()
        if self._is_for(model) and optimizer is self._started_with:
            return
        self._finish(model, self._started_with, self._step())
        if self.model.train_function is None:
            self.model.make_train_function()
        self.check(model)
        self._start(model, optimizer)
        self._started_with = optimizer

    def _end_training(self) -> None:
        step = self._step()
        self._finish(self._masked_model(), self._optimizer(), step)
        self._has_started = False
        one_mover.release(self, self._changing())
        if self._num_changed or not self._num_calls:
            return
        reason = self._why_nothing_changed(step)
        if reason and step == self._first_step:
            path = masked_weights(self._masked_model())[0].path
            reason = (
                "the optimizer of the model made no update; give "
                f"`optimizer=`, the one that trains {path}"
            )
        if reason:
            self._warn(reason)

    def _settle(self) -> None:
        """See to what other callbacks may have done as they ended, such as
        restoring earlier weights."""

    def _settle_last(self) -> None:
        if self._started_with is not None:
            self._settle()

    def _warn(self, reason: str) -> None:
        logging.warning(
            "%s changed no mask in this training: %s.",
            type(self).__name__,
            reason,
        )

    def _look_now(self) -> int | None:
        return self._look(self._masked_model(), self._optimizer(), self._step())

    def _report(self, record: Record) -> None:
        """Pass the `Record` of a change on."""
        self._num_changed += record.num_pruned + record.num_grown
        self._num_reports += 1
        if self.listener is not None:
            self.listener(record)

    def _set_epoch(self, epoch: int) -> None:
        self._epoch, self._calls_to_skip = epoch, 0

    def _masked_model(self) -> keras.Model:
        # Asking Keras for the model brings its variables up to date on JAX.
        trained = self.model if self._model is not None else None
        return self._model_given or trained

    def _trained_model(self) -> keras.Model | None:
        """The model whose `fit` or training function runs the steps."""
        return self.model if self._model is not None else self._model_given

    def _is_built(self) -> bool:
        model = self._masked_model()
        if model.built:
            return True
        # One that is trained in parts need not be built as a whole.
        try:
            return bool(masked_weights(model))
        except ValueError:
            return False

    def _optimizer(
        self, model: keras.Model | None = None
    ) -> keras.optimizers.Optimizer:
        """The optimizer that trains the masked weights.

        Args:
            model: The model to ask where none is being trained yet.
        """
        if self._optimizer_given is not None:
            return self._optimizer_given
        trained: Any = self._trained_model() or model
        optimizer = getattr(trained, "optimizer", None)
        if optimizer is None:
            raise ValueError(
                f"{type(self).__name__} needs the optimizer that trains the "
                "masked weights: compile the model with one, or give "
                f"`optimizer=`. Received: model '{trained.name}', which has "
                "none"
            )
        return optimizer

    def _step(self) -> int:
        return int(ops.convert_to_numpy(self._optimizer().iterations))

    def _updates_per_call(self) -> int | None:
        """Updates at most in a call of the training function, if known."""
        if self._optimizer_given is not None:
            return None
        model: Any = self._trained_model()
        return updates_per_call.at_most(model)
