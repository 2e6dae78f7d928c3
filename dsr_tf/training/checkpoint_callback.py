"""The callback that saves checkpoints."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from dsr_tf.training import checkpoint
from dsr_tf.training.ages import Ages
from dsr_tf.training.logs import Table


class CheckpointCallback(keras.callbacks.Callback):
    """Saves a checkpoint at the end of each epoch, and every so many updates.

    At the end of an epoch its metrics have just been written, so a resumed
    run repeats nothing. Only where `every` is not 0 are updates counted
    within an epoch: reading their number waits for the device.

    Args:
        folder: Folder of checkpoints; None to save nothing.
        every: Updates between checkpoints within an epoch, 0 for none.
        steps_per_epoch: Updates in an epoch.
        settings: Dict of plain values to store with each.
        num_kept: How many stay, the newest.
        tables: Dict from the name of a table of the run to the `Table`,
            whose rows belong to the checkpoint; `Ages` among them.
        architecture: Text of a network that flags do not describe.
    """

    def __init__(
        self,
        folder: str | None,
        every: int,
        steps_per_epoch: int,
        settings: dict,
        num_kept: int,
        tables: Mapping[str, Table | Ages],
        architecture: str | None = None,
    ) -> None:
        super().__init__()
        self._architecture = architecture
        self._num_kept, self._tables = num_kept, tables
        self._folder, self._every = folder, every
        self._steps_per_epoch, self._settings = steps_per_epoch, settings
        self._last_step = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._last_step = self._step()

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if not self._every:
            return
        step = self._step()
        is_due = step // self._every > self._last_step // self._every
        if is_due and step % self._steps_per_epoch:
            self._save(step)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self.save()

    def save(self) -> None:
        """Save a checkpoint of the model as it is now."""
        self._save(self._step())

    def _step(self) -> int:
        return int(ops.convert_to_numpy(self.model.optimizer.iterations))

    def _save(self, step: int) -> None:
        if self._folder is not None:
            checkpoint.save(
                self._folder,
                self.model,
                step,
                self._settings,
                self._num_kept,
                {name: table.text for name, table in self._tables.items()},
                self._architecture,
            )
        self._last_step = step
