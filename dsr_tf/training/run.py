"""One run, from data to the folder it leaves behind."""

import contextlib
import os
from collections.abc import Callable
from collections.abc import Collection
from typing import Any

from dsr_tf import data as datasets
from dsr_tf.command_line import UsageError
from dsr_tf.command_line import terminal
from dsr_tf.reallocation.record import Record
from dsr_tf.training import ages
from dsr_tf.training import board
from dsr_tf.training import build
from dsr_tf.training import checkpoint
from dsr_tf.training import logs
from dsr_tf.training import networks
from dsr_tf.training import outputs
from dsr_tf.training import stored_variables
from dsr_tf.training.checkpoint_callback import CheckpointCallback
from dsr_tf.training.cluster import Cluster
from dsr_tf.training.experiment import Experiment
from dsr_tf.training.folder import RunFolder
from dsr_tf.training.folder import usable
from dsr_tf.training.guard import Guard
from dsr_tf.training.guard import one_sentence
from dsr_tf.training.logs import MetricsLog
from dsr_tf.training.logs import Table
from dsr_tf.training.logs import reallocation_row
from dsr_tf.training.loop import Loop
from dsr_tf.training.progress import Progress
from dsr_tf.training.stop import StopSignals
from dsr_tf.training.unused import Asked


class Run:
    """A training run in its folder.

    Making it checks everything that can be checked before training, and
    writes nothing but the folder itself, so that no other run takes it;
    `train` trains.

    Args:
        experiment: An `Experiment`.
        signals: `StopSignals` that may stop it; None if nothing may.

    Raises:
        UsageError: if the data, the model or the folder does not fit.
    """

    def __init__(
        self, experiment: Experiment, signals: StopSignals | None = None
    ) -> None:
        self._signals = signals or StopSignals("")
        self.settings = experiment.to_dict()
        self.cluster = Cluster(experiment.strategy)
        self._folder = None
        self._progress: Progress | None = None
        if self.cluster.is_chief:
            self._folder = RunFolder(experiment.output_dir)
        try:
            self._prepare(experiment)
        except BaseException:
            if self._folder is not None:
                self._folder.abandon()
            raise

    def _prepare(self, experiment: Experiment) -> None:
        with usable(experiment.output_dir):
            self.start = self._find_start(experiment)
        self.experiment = experiment = experiment.scaled()
        self.cluster.connect()
        self.data = build.load_data(
            experiment.dataset,
            experiment.data_dir,
            experiment.image_size,
            experiment.augmentation,
        )
        self.steps_per_epoch = build.steps_per_epoch(experiment, self.data)
        experiment.check_reaches(self._batches_done, self.steps_per_epoch)
        if experiment.batch_size % self.cluster.num_replicas:
            raise UsageError(
                f"flag --batch_size={experiment.batch_size}: must be divisible "
                f"by the {self.cluster.num_replicas} replicas that share it"
            )
        per_call = build.steps_per_execution(experiment, self.steps_per_epoch)
        if self.steps_per_epoch % per_call:
            raise UsageError(
                f"flag --steps_per_execution={per_call}: must divide the "
                f"{self.steps_per_epoch} steps of an epoch"
            )
        self._metrics = self._table(
            "metrics.csv",
            "epoch",
            self._batches_done // self.steps_per_epoch,
            ("test_accuracy", "seconds"),
        )
        # A reallocation at the step of the checkpoint comes after it, so
        # its row will be written again.
        self._reallocations = self._table(
            "reallocations.csv", "step", self.start
        )
        self._age_rows = self._table("ages.csv", "step", self.start)
        self._build()

    def _chiefs(self, name: str) -> str | None:
        """Path of what the chief writes in the folder, None for others."""
        if self.cluster.is_chief:
            return os.path.join(self.experiment.output_dir, name)
        return None

    def _find_start(self, experiment: Experiment) -> int:
        """The step to start from: 0, or that of the last checkpoint."""
        resume = experiment.resume
        if self._folder is not None and not resume:
            self._folder.check_is_new()
        checkpoints = os.path.join(experiment.output_dir, "checkpoints")
        self._newest = checkpoint.read_newest(checkpoints) if resume else None
        self.is_resumed = self._newest is not None
        if self._newest is not None:
            experiment.check_continues(self._newest.settings)
        elif self._folder is not None and resume:
            self._folder.check_nothing_is_lost()
        if self._folder is not None:
            self._folder.check_writable()
        # More batches than updates, where gradients have overflowed.
        self._batches_done = self._newest.num_batches if self._newest else 0
        return self._newest.step if self._newest else 0

    def _table(
        self, name: str, key: str, limit: int, numbers: Collection[str] = ()
    ) -> Table:
        """A table of the chief, with its rows from before the start."""
        path = self._chiefs(name)
        if path is None or self._newest is None:
            return Table(path)
        tables = self._newest.tables
        source: str | os.PathLike = path
        if tables is not None:
            source, text = self._newest.path, tables.get(name, "")
        else:  # A checkpoint of before.
            text = logs.read_table(path)
        is_whole = tables is not None
        text = logs.rows_below(source, text, key, limit, numbers, is_whole)
        return Table(path, text)

    def _build(self) -> None:
        experiment = self.experiment
        build.prepare_keras(experiment)
        shapes = self.data.image_shape, self.data.num_classes
        prepared = networks.prepare(
            experiment,
            *shapes,
            lambda: build.plain_batches(experiment, self.data),
            self._newest,
        )
        self._architecture = prepared.text if prepared else None
        self._digest = prepared.digest() if prepared else 0
        with self.cluster.strategy.scope():
            self.model = networks.build_model(
                experiment, *shapes, prepared, self.is_resumed
            )
            if self._newest is not None:
                stored_variables.store_alike(
                    self.model, self._newest.storages, self._newest.path
                )
            build.compile_model(self.model, experiment, self.steps_per_epoch)
            if self._newest is not None:
                checkpoint.restore(self._newest, self.model)
        self._ages = self._find_ages()
        self._newest = None  # As large as model and optimizer.
        self.asked = Asked(experiment)
        self.reallocation = build.checked_callback(
            self.asked,
            self.model,
            self.steps_per_epoch,
            self._log_reallocation,
            self.data,
        )

    def _find_ages(self) -> ages.Ages | None:
        """The ages of the weights; None where nobody has followed them."""
        if not self.cluster.is_chief:
            return None
        found = ages.followed(self.model, self._newest)
        if found is None:
            self._age_rows = Table(self._chiefs("ages.csv"))
        return found

    def _log_reallocation(self, record: Record) -> None:
        self._reallocations.append(reallocation_row(record))
        if self._ages is not None:
            self._age_rows.append(self._ages.look(record))
        if self._progress is not None:
            self._progress.record(record)

    def train(self) -> dict[str, Any] | None:
        """Train to the end and write all results.

        Returns:
            The summary, of the chief; other workers write and return none.

        Raises:
            RunError: if training cannot go on, or has been stopped.
            OSError: if a file cannot be written.
        """
        try:
            self.cluster.check_same_start(
                self.start, self.experiment.output_dir, self._digest
            )
            self._signals.begin()
            if self._folder is not None:
                self._folder.begin()
                self._metrics.write()
                self._reallocations.write()
                self._age_rows.write()
            if self._architecture and not self.is_resumed:
                # From here on the run needs nothing but its folder.
                checkpoints = self._checkpoints()
                checkpoints.set_model(self.model)
                checkpoints.save(0)
            return self._train()
        finally:
            if self._folder is not None:
                self._folder.abandon()

    def _train(self) -> dict[str, Any] | None:
        epoch, steps_done = divmod(self._batches_done, self.steps_per_epoch)
        self._fitting: Callable[..., None] = self._fit_on_one
        if self.cluster.is_distributed:
            self._fitting = Loop(self.model, self.cluster, self.data).fit
        if self.reallocation is not None:
            self.reallocation.begin()
        self._board = None
        if self.experiment.tensorboard and self.cluster.is_chief:
            self._board = board.of_run(
                self._board_folder, self.experiment, self.model
            )
        self._progress = self._shown()
        with self._progress or contextlib.nullcontext():
            if steps_done:
                self._fit(epoch, epoch + 1, steps_done)
                epoch += 1
            if epoch < self.experiment.epochs:
                self._fit(epoch, self.experiment.epochs)
        if self.reallocation is not None:
            self.reallocation.end()
        return self._finish()

    def _fit(
        self, first_epoch: int, end_epoch: int, steps_done: int = 0
    ) -> None:
        first_step = first_epoch * self.steps_per_epoch + steps_done
        checkpoints = self._checkpoints(first_step)
        with (
            one_sentence("a step failed"),
            self._signals.waiting(),
        ):
            self._fitting(
                build.train_batches(
                    self.experiment, self.data, first_step, self.cluster
                ),
                initial_epoch=first_epoch,
                epochs=end_epoch,
                steps_per_epoch=self.steps_per_epoch - steps_done,
                callbacks=[
                    *([self.reallocation] if self.reallocation else []),
                    Guard(checkpoints.save_within, self._asked_to_stop),
                    MetricsLog(
                        self._metrics,
                        build.rate_of(self.experiment, self.steps_per_epoch),
                    ),
                    checkpoints,
                    *([self._board] if self._board else []),
                    *([self._progress] if self._progress else []),
                ],
                verbose=self._verbose,
            )

    @property
    def _verbose(self) -> int:
        """That of `fit`: a line an epoch, which a `Progress` has too."""
        return 2 if self.cluster.is_chief and self._progress is None else 0

    def _shown(self) -> Progress | None:
        """What the terminal of the chief shows; logs have lines only."""
        console = terminal.console()
        if not self.cluster.is_chief or not terminal.changes_in_place(console):
            return None
        return Progress(
            console,
            self.model,
            self.experiment.epochs,
            self.steps_per_epoch,
            self._batches_done,
            self.experiment.live,
        )

    def _checkpoints(self, first_batch: int = 0) -> CheckpointCallback:
        return CheckpointCallback(
            self._chiefs("checkpoints"),
            self.experiment.checkpoint_every_steps,
            self.steps_per_epoch,
            self.settings,
            self.experiment.checkpoints_to_keep,
            {
                "metrics.csv": self._metrics,
                "reallocations.csv": self._reallocations,
                "ages.csv": self._age_rows,
                **({ages.NAME: self._ages} if self._ages else {}),
            },
            self._architecture,
            first_batch,
        )

    def _asked_to_stop(self) -> int:
        return self.cluster.largest(int(self._signals.asked))

    def _fit_on_one(self, batches: Any, **arguments: Any) -> None:
        self.model.fit(
            batches,
            validation_data=datasets.test_batches(self.data),
            shuffle=False,
            **arguments,
        )

    @property
    def _board_folder(self) -> str:
        return os.path.join(self.experiment.output_dir, board.FOLDER)

    def _finish(self) -> dict[str, Any] | None:
        """Write the results; every worker waits for the chief."""
        summary = None
        with one_sentence("cannot write the results"):
            if self.cluster.is_chief:
                summary = outputs.write(
                    self.experiment,
                    self.settings,
                    self.data,
                    self.model,
                    self._metrics.rows,
                    self._reallocations.rows,
                )
                if self._board is not None:
                    steps = self.experiment.epochs * self.steps_per_epoch
                    board.write_results(self._board_folder, summary, steps)
            self.cluster.wait()
        return summary
