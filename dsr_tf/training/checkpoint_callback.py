"""The callback that saves checkpoints."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from dsr_tf.training import checkpoint
from dsr_tf.training.ages import Ages
from dsr_tf.training.logs import Table


class CheckpointCallback(keras.callbacks.Callback):
    """Saves a checkpoint at the end of each epoch, and every so many steps.

    At the end of an epoch its metrics have just been written, so a resumed
    run repeats nothing. Steps are batches, which are updates unless
    gradients overflow.

    Args:
        folder: Folder of checkpoints; None to save nothing.
        every: Steps between checkpoints within an epoch, 0 for none.
        steps_per_epoch: Steps in an epoch.
        settings: Dict of plain values to store with each.
        num_kept: How many stay, the newest.
        tables: Dict from the name of a table of the run to the `Table`,
            whose rows belong to the checkpoint; `Ages` among them.
        architecture: Text of a network that flags do not describe.
        first_batch: Number of batches before the training.
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
        first_batch: int = 0,
    ) -> None:
        super().__init__()
        self._architecture = architecture
        self._num_kept, self._tables = num_kept, tables
        self._folder, self._every = folder, every
        self._steps_per_epoch, self._settings = steps_per_epoch, settings
        self._num_batches = self._last_saved = first_batch
        self._epochs_first = first_batch

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._epochs_first = self._num_batches

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        number = self._num_batches = self._epochs_first + batch + 1
        is_due = (
            self._every
            and number // self._every > self._last_saved // self._every
        )
        if is_due and number % self._steps_per_epoch:
            self.save(number)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self.save(self._num_batches)

    def save_within(self, batch: int) -> None:
        """Save a checkpoint after a batch of this epoch, before this callback
        has heard of it."""
        self.save(self._epochs_first + batch + 1)

    def save(self, num_batches: int) -> None:
        """Save a checkpoint of the model as it is now.

        Args:
            num_batches: Number of batches so far.
        """
        self._last_saved = num_batches
        if self._folder is not None:
            step = ops.convert_to_numpy(self.model.optimizer.iterations)
            checkpoint.save(
                self._folder,
                self.model,
                int(step),
                self._settings,
                self._num_kept,
                {name: table.text for name, table in self._tables.items()},
                self._architecture,
                num_batches,
            )
