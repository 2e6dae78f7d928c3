"""The callback that writes some of Keras' `logs` for TensorBoard."""

import contextlib
import os
from collections.abc import Collection
from typing import Any

import keras
from keras import ops

from dsr_tf.callbacks import summaries


class LogBoard(keras.callbacks.Callback):
    """Writes numbers of each epoch for TensorBoard.

    The step there is the number of updates. Several workers write once, the
    chief. Where the callback is in the list does not matter.

    Args:
        log_dir: Folder to write to; files are added to what is there.
        logs: Names of Keras' `logs` to write as scalars where they occur.
        model: The Keras model that it is about, where `fit` trains one that
            it is a part of; None for the one that `fit` trains.
        optimizer: The optimizer that counts the updates; None for the
            model's own.

    Raises:
        ImportError: if TensorFlow, which writes the files, is not there.
        TypeError: if an argument is none of these.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike,
        logs: Collection[str],
        model: keras.Model | None = None,
        optimizer: keras.optimizers.Optimizer | None = None,
    ) -> None:
        super().__init__()
        self._tensorflow = summaries.tensorflow(type(self).__name__)
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
        self.log_dir, self.logs = os.fspath(log_dir), tuple(logs)
        self._model_given, self._optimizer_given = model, optimizer
        self._writer: Any = None
        # Of the last epoch: callbacks that come later add to it.
        self._epoch: tuple[int, dict[str, Any]] | None = None

    def close(self) -> None:
        """Close the file; what is written later goes to another one."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    # Keras' own.

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._epoch = None

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._write_logs()

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._epoch = self._step(), logs if logs is not None else {}

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._write_logs()
        self.close()

    # The rest.

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
        self._writer.flush()

    def _writing(self, step: int) -> Any:
        """Scope in which summaries go to this callback's file."""
        tf = self._tensorflow
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
        """The model that it is about; None if it is not known."""
        # Asking Keras for the model brings its variables up to date on JAX.
        trained = self.model if self._model is not None else None
        return self._model_given or trained

    def _step(self) -> int:
        optimizer = self._optimizer_given or self.model.optimizer
        return int(ops.convert_to_numpy(optimizer.iterations))

    def _is_chief(self) -> bool:
        if keras.backend.backend() != "tensorflow":
            return True
        strategy = getattr(self._trained(), "distribute_strategy", None)
        return strategy is None or strategy.extended.should_save_summary
