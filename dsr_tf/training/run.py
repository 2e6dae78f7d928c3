"""One run, from data to the folder it leaves behind."""

import json
import os
import shutil
import statistics
import sys

import keras
from keras import ops

from dsr_tf import data as datasets
from dsr_tf import export
from dsr_tf.command_line import UsageError
from dsr_tf.summary import sparsity_summary
from dsr_tf.training import build
from dsr_tf.training import checkpoint
from dsr_tf.training import networks
from dsr_tf.training.guard import Guard
from dsr_tf.training.guard import one_sentence
from dsr_tf.training.lock import FolderLock
from dsr_tf.training.logs import MetricsLog
from dsr_tf.training.logs import Table
from dsr_tf.training.logs import reallocation_row


class Run:
    """A training run in its folder.

    Making it checks everything that can be checked before training, and
    writes nothing; `train` trains.

    Args:
        experiment: An `Experiment`.

    Raises:
        UsageError: if the data, the model or the folder does not fit.
    """

    def __init__(self, experiment):
        self.settings = experiment.to_dict()
        self._lock = _lock_folder(experiment.output_dir)
        try:
            self._prepare(experiment)
        except BaseException:
            self._release()
            raise

    def _prepare(self, experiment):
        self.start = self._find_start(experiment)
        self.experiment = experiment = experiment.scaled()
        self.data = build.load_data(
            experiment.dataset,
            experiment.data_dir,
            experiment.image_size,
            experiment.augmentation,
        )
        self.steps_per_epoch = build.steps_per_epoch(experiment, self.data)
        per_call = build.steps_per_execution(experiment, self.steps_per_epoch)
        if self.steps_per_epoch % per_call:
            raise UsageError(
                f"flag --steps_per_execution={per_call}: must divide the "
                f"{self.steps_per_epoch} steps of an epoch"
            )
        self._build()

    def _release(self):
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _path(self, *names):
        return os.path.join(self.experiment.output_dir, *names)

    def _find_start(self, experiment):
        """The step to start from: 0, or that of the last checkpoint."""
        folder, resume = experiment.output_dir, experiment.resume
        if os.path.isdir(folder) and os.listdir(folder) and not resume:
            raise UsageError(
                f"flag --output_dir={folder}: must be a new or an empty "
                "folder; give --resume to continue the run in it"
            )
        newest = checkpoint.read_newest(os.path.join(folder, "checkpoints"))
        self._newest = newest
        if newest is None:
            return 0
        experiment.check_continues(newest.settings)
        return newest.step

    def _build(self):
        experiment = self.experiment
        keras.utils.set_random_seed(experiment.seed)
        if experiment.mixed_precision != "float32":
            keras.config.set_dtype_policy(f"mixed_{experiment.mixed_precision}")
        try:
            with _scope(experiment.strategy):
                self.model = networks.build_model(
                    experiment, self.data.image_shape, self.data.num_classes
                )
                build.compile_model(
                    self.model, experiment, self.steps_per_epoch
                )
                if self._newest is not None:
                    checkpoint.restore(self._newest, self.model)
                    self._newest = None  # As large as model and optimizer.
            self.reallocation = build.build_callback(
                experiment,
                self.model,
                self.steps_per_epoch,
                self._log_reallocation,
            )
            if self.reallocation is not None:
                self.reallocation.check(self.model)
        except UsageError:
            raise
        except ValueError as error:
            raise UsageError(str(error)) from error

    def _log_reallocation(self, record):
        self._reallocations.append(reallocation_row(record))

    def train(self):
        """Train to the end and write all results; returns the summary.

        Raises:
            RunError: if training cannot go on.
            OSError: if a file cannot be written.
        """
        os.makedirs(self.experiment.output_dir, exist_ok=True)
        if self._lock is None:
            self._lock = FolderLock(self.experiment.output_dir)
        try:
            return self._train()
        finally:
            self._release()

    def _train(self):
        epoch, steps_done = divmod(self.start, self.steps_per_epoch)
        self._metrics = Table(self._path("metrics.csv"), "epoch", epoch)
        # What happened at the step of the checkpoint came after it.
        self._reallocations = Table(
            self._path("reallocations.csv"), "step", self.start
        )
        if steps_done:
            self._fit(epoch, epoch + 1, steps_done)
            epoch += 1
        if epoch < self.experiment.epochs:
            self._fit(epoch, self.experiment.epochs)
        return self._finish()

    def _fit(self, first_epoch, end_epoch, steps_done=0):
        first_step = first_epoch * self.steps_per_epoch + steps_done
        saver = _Checkpoints(
            self._path("checkpoints"),
            self.experiment.checkpoint_every_steps,
            self.steps_per_epoch,
            self.settings,
        )
        with one_sentence(), Guard(saver.save) as guard:
            self.model.fit(
                build.train_batches(self.experiment, self.data, first_step),
                initial_epoch=first_epoch,
                epochs=end_epoch,
                steps_per_epoch=self.steps_per_epoch - steps_done,
                validation_data=datasets.test_batches(self.data),
                callbacks=[
                    *([self.reallocation] if self.reallocation else []),
                    guard,
                    MetricsLog(self._metrics, self._learning_rate),
                    saver,
                ],
                shuffle=False,
                verbose=1 if sys.stdout.isatty() else 2,
            )

    def _learning_rate(self, epoch):
        """The learning rate of the first step of an epoch."""
        steps = self.steps_per_epoch
        rate = build.learning_rate(self.experiment, steps)
        rate = float(rate(epoch * steps) if callable(rate) else rate)
        return float(f"{rate:.6g}")  # Schedules compute in float32.

    def _finish(self):
        """Write the model in both forms and the summary, last of all."""
        self.model.save(self._path("model.keras"))
        # What an interrupted `_finish` of this run may have left.
        shutil.rmtree(self._path("saved_model"), ignore_errors=True)
        export.saved_model(self.model, self._path("saved_model"))
        summary = self.summary()
        scratch = self._path("summary.json.tmp")
        with open(scratch, "w") as file:
            json.dump(summary, file, indent=2)
            file.write("\n")
        os.replace(scratch, self._path("summary.json"))
        return summary

    def summary(self):
        """The results of the run so far, as plain values for JSON."""
        rows, experiment = self._metrics.rows, self.experiment
        sparsity = sparsity_summary(self.model)
        accuracies = [float(row["test_accuracy"]) for row in rows]
        top5 = {
            name: float(rows[-1][name])
            for name in ("test_top5_accuracy",)
            if name in rows[-1]
        }
        # The first epoch compiles; a run of one epoch has no other.
        seconds = [float(row["seconds"]) for row in rows[1:] or rows]
        return {
            "method": experiment.method,
            "dataset": experiment.dataset,
            "model": experiment.model,
            "seed": experiment.seed,
            "epochs": len(rows),
            "test_accuracy": accuracies[-1],
            **top5,
            "best_test_accuracy": max(accuracies),
            "num_parameters": sparsity.num_parameters,
            "num_active_parameters": sparsity.num_active_parameters,
            "mask_density": sparsity.mask_density,
            "model_density": sparsity.model_density,
            "num_reallocations": len(self._reallocations.rows),
            "seconds_per_epoch": statistics.median(seconds),
            "saved_model_bytes": _folder_size(self._path("saved_model")),
            "kernels": sparsity.to_dict()["layers"],
            "settings": self.settings,
        }


class _Checkpoints(keras.callbacks.Callback):
    """Saves a checkpoint at the end of each epoch, and every so many updates.

    At the end of an epoch its metrics have just been written, so a resumed
    run repeats nothing. Only where `every` is not 0 are updates counted
    within an epoch: reading their number waits for the device.
    """

    def __init__(self, folder, every, steps_per_epoch, settings):
        super().__init__()
        self._folder, self._every = folder, every
        self._steps_per_epoch, self._settings = steps_per_epoch, settings
        self._saved = 0

    def on_train_begin(self, logs=None):
        self._saved = self._step()

    def on_train_batch_end(self, batch, logs=None):
        if not self._every:
            return
        step = self._step()
        is_due = step // self._every > self._saved // self._every
        if is_due and step % self._steps_per_epoch:
            self._save(step)

    def on_epoch_end(self, epoch, logs=None):
        self.save()

    def save(self):
        """Save a checkpoint of the model as it is now."""
        self._save(self._step())

    def _step(self):
        return int(ops.convert_to_numpy(self.model.optimizer.iterations))

    def _save(self, step):
        checkpoint.save(self._folder, self.model, step, self._settings)
        self._saved = step


def _lock_folder(folder):
    """The lock of a folder, None where there is no folder yet."""
    if not os.path.exists(folder):
        return None
    if not os.path.isdir(folder):
        raise UsageError(f"flag --output_dir={folder}: is not a folder")
    return FolderLock(folder)


def _scope(strategy):
    import tensorflow as tf

    if strategy == "mirrored":
        return tf.distribute.MirroredStrategy().scope()
    return tf.distribute.get_strategy().scope()


def _folder_size(folder):
    return sum(
        os.path.getsize(os.path.join(parent, name))
        for parent, _, names in os.walk(folder)
        for name in names
    )
