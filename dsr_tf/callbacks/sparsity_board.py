"""The callback that writes what TensorBoard shows of masks."""

import contextlib
import os
from collections.abc import Collection
from typing import Any

import keras
import numpy as np
from keras import ops

from dsr_tf.callbacks import mask_image
from dsr_tf.callbacks import summaries
from dsr_tf.core.checks import is_integer
from dsr_tf.layers import mask_density
from dsr_tf.layers import masked_weights
from dsr_tf.layers.emptied import num_dead_units
from dsr_tf.layers.masked_weights import MaskedWeight


class SparsityBoard(keras.callbacks.Callback):
    """Writes densities, moves and masks for TensorBoard.

    At the end of each epoch, and every `period` updates, for each masked
    kernel:

    * scalars `density/PATH`; `grown/PATH` and `pruned/PATH`, weights that
      are active now and were not when this was last written, or training
      began, and the other way round; `dead_units/PATH`, outputs without an
      active weight;
    * the histogram `active_weights/PATH`;
    * the image `mask/PATH`, white where weights are active: inputs from top
      to bottom, outputs from left to right; of a convolution a tile for each
      window. A pixel is an entry of the mask, or the mean of several where
      there are more than 512 along a side.

    Of the whole model, `mask_density`, and at the end of an epoch those of
    Keras' `logs` that `logs` names, such as the threshold of DSR; the image
    `input_mask/PATH` where the first kernel reads whole images: how many
    units read a pixel.

    All is counted from the masks, so that it works with every method, and in
    any order with other callbacks. The step in TensorBoard is the number of
    updates. Several workers write once, the chief.

    Args:
        log_dir: Folder to write to; files are added to what is there.
        period: Updates between writings within an epoch; None for none.
        logs: Names of Keras' `logs` to write as scalars where they occur.
        model: The Keras model whose masks are written, where `fit` trains
            one that it is a part of, or in a loop of your own; None for the
            one that `fit` trains.
        optimizer: The optimizer that counts the updates; None for the
            model's own.

    Raises:
        ImportError: if TensorFlow, which writes the files, is not there.
        TypeError, ValueError: if an argument is none of these, or in
            training, if the model has no masked layers.

    Example:

    >>> board = dsr_tf.callbacks.SparsityBoard("logs/sparsity")
    >>> model.fit(x, y, callbacks=[reallocation, board])

    Without `fit`, `board.write(step)` writes, and `board.close()` ends.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike,
        period: int | None = None,
        logs: Collection[str] = ("threshold",),
        model: keras.Model | None = None,
        optimizer: keras.optimizers.Optimizer | None = None,
    ) -> None:
        super().__init__()
        summaries.tensorflow("SparsityBoard")
        if period is not None and (not is_integer(period) or period < 1):
            raise ValueError(
                "`period` must be None or an integer of at least 1. "
                f"Received: period={period!r}"
            )
        if model is not None and not isinstance(model, keras.Model):
            raise TypeError(
                "`model` must be None or a Keras model. "
                f"Received: model={model!r}"
            )
        if isinstance(logs, str):
            raise TypeError(
                "`logs` must be a list of names, such as ['threshold']. "
                f"Received: logs={logs!r}"
            )
        self.log_dir, self.period = os.fspath(log_dir), period
        self.logs = tuple(logs)
        self._model_given, self._optimizer_given = model, optimizer
        self._writer: Any = None
        # Active groups when something was last written, by path.
        self._places: dict[str, np.ndarray] = {}
        # Of the last epoch: callbacks that come later add to it.
        self._epoch: tuple[int, dict[str, Any]] | None = None
        self._last_step, self._calls_to_skip = 0, 0
        self._written: int | None = None

    def write(self, step: int) -> None:
        """Write what holds now.

        Args:
            step: The step that TensorBoard shows it at.

        Raises:
            ValueError: if the model has no masked layers.
        """
        self._last_step = self._written = step
        if not self._is_chief():
            return
        masked = self._masked()
        now = {weight.path: weight.variable.places() for weight in masked}
        with self._writing(step):
            summaries.scalar("mask_density", mask_density(masked))
            for weight in masked:
                self._write_kernel(weight, now[weight.path])
            self._write_inputs(masked[0], now[masked[0].path])
        self._writer.flush()
        self._places = now

    def close(self) -> None:
        """Close the file; what is written later goes to another one."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    # Keras' own.

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._places, self._epoch = {}, None
        self._calls_to_skip, self._written = 0, None
        # A subclassed model may be built by its first batch only.
        if self._trained().built:
            self._begin()

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._write_logs()

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if not self._places:
            self._begin()
        if self.period is None:
            return
        if self._calls_to_skip > 0:
            self._calls_to_skip -= 1
            return
        # Reading the number of updates waits for the device.
        step = self._step()
        if step // self.period > self._last_step // self.period:
            self.write(step)
        to_go = self.period - step % self.period
        per_call = self.model.steps_per_execution or 1
        self._calls_to_skip = -(-to_go // per_call) - 1

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        step = self._step()
        if step != self._written:
            self.write(step)
        self._epoch = step, logs if logs is not None else {}

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._write_logs()
        self.close()

    # The rest.

    def _begin(self) -> None:
        """Remember what to compare with."""
        self._places = {w.path: w.variable.places() for w in self._masked()}
        self._last_step = self._step()

    def _write_kernel(self, weight: MaskedWeight, places: np.ndarray) -> None:
        path, before = weight.path, self._places.get(weight.path)
        summaries.scalar(
            f"density/{path}", len(places) * weight.group_size / weight.size
        )
        if before is not None:
            for name, here, there in (
                ("grown", places, before),
                ("pruned", before, places),
            ):
                moved = np.setdiff1d(here, there, assume_unique=True)
                summaries.scalar(
                    f"{name}/{path}", len(moved) * weight.group_size
                )
        summaries.scalar(f"dead_units/{path}", num_dead_units(weight, places))
        summaries.histogram(
            f"active_weights/{path}", weight.variable.groups().reshape(-1)
        )
        summaries.image(f"mask/{path}", mask_image.of_kernel(weight, places))

    def _write_inputs(self, weight: MaskedWeight, places: np.ndarray) -> None:
        shape = getattr(self._trained(), "input_shape", None)
        # A model of several inputs has a list of shapes.
        if not isinstance(shape, tuple) or isinstance(shape[0], tuple):
            return
        image = mask_image.of_inputs(weight, places, shape[1:])
        if image is not None:
            summaries.image(f"input_mask/{weight.path}", image)

    def _write_logs(self) -> None:
        if self._epoch is None:
            return
        (step, logs), self._epoch = self._epoch, None
        if not self._is_chief():
            return
        with self._writing(step):
            for name in self.logs:
                if logs.get(name) is not None:
                    summaries.scalar(name, float(logs[name]))

    def _writing(self, step: int) -> Any:
        """Scope in which summaries go to this callback's file."""
        tf = summaries.tensorflow("SparsityBoard")
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(self.log_dir)
        scope = contextlib.ExitStack()
        scope.enter_context(tf.device("CPU:0"))
        scope.enter_context(self._writer.as_default(step))
        # Keras' TensorBoard lets summaries pass every `update_freq` batches
        # only, those of others as well.
        scope.enter_context(tf.summary.record_if(True))
        return scope

    def _trained(self) -> Any:
        """The model with the masks."""
        # Asking Keras for the model brings its variables up to date on JAX.
        trained = self.model if self._model is not None else None
        return self._model_given or trained

    def _masked(self) -> list[MaskedWeight]:
        model = self._trained()
        if model is None:
            raise ValueError(
                "`SparsityBoard.write()` needs to know the model: give "
                "`model=` to the constructor."
            )
        masked = masked_weights(model)
        if not masked:
            raise ValueError(
                "`SparsityBoard` needs a model with masked layers, see "
                f"`dsr_tf.sparsify`. Received: model '{model.name}', which "
                "has none"
            )
        return masked

    def _step(self) -> int:
        optimizer = self._optimizer_given or self.model.optimizer
        return int(ops.convert_to_numpy(optimizer.iterations))

    def _is_chief(self) -> bool:
        if keras.backend.backend() != "tensorflow":
            return True
        strategy = getattr(self._trained(), "distribute_strategy", None)
        return strategy is None or strategy.extended.should_save_summary
