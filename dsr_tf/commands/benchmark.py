"""What sparse training costs: `python -m dsr_tf.benchmark`.

Trains the same network dense, with fixed masks, and by each method, a round
of each in turn, on the same input pipeline. Prints the median seconds of an
epoch, its median ratio to the dense and to the static network of the same
round (which a busy machine disturbs least; a second dense network shows how
far a ratio of equals strays from 1), and how long a reallocation takes.
`dsr_saving` is DSR with a checkpoint at the end of each round.
The last column is what reallocation adds over all epochs of the schedule: its
time as often as --period says, over the time of the static network. While
measuring, the period is --measured_period, or the first of --period.

Takes the flags of `dsr_tf.train` but --output_dir, and --rounds, --steps,
--networks and --measured_period.
"""

import dataclasses
import statistics
import tempfile
import time

import keras
from absl import flags
from keras import ops
from rich import box
from rich.table import Table

from dsr_tf import command_line
from dsr_tf.command_line import terminal
from dsr_tf.command_line.flag_kinds import ListOf
from dsr_tf.command_line.flag_kinds import Whole
from dsr_tf.core.schedule import Schedule
from dsr_tf.training import build
from dsr_tf.training import checkpoint
from dsr_tf.training import experiment as experiments
from dsr_tf.training import networks
from dsr_tf.training.guard import one_sentence

_AGAIN = "dense_again"
_SAVING = "dsr_saving"
_DEFAULT = ("dense", _AGAIN, "static", "set", "deep_r", "rigl", "snfs", "dsr")
_NETWORKS = (*_DEFAULT, _SAVING)
_METHODS = {_AGAIN: "dense", _SAVING: "dsr"}


def main(argv=None):
    argv = argv or command_line.arguments("benchmark")
    flag_values = flags.FlagValues()
    experiments.define_flags(flag_values)
    for name, default, help, kind in (
        ("rounds", 15, "Times that each network is trained.", Whole(1)),
        ("steps", 0, "Steps of a round; 0 for those of an epoch.", Whole()),
        (
            "networks",
            ",".join(_DEFAULT),
            "What to measure: methods, and a second dense network.",
            ListOf(_known, distinct=True),
        ),
        (
            "measured_period",
            0,
            "Steps between reallocations while measuring.",
            Whole(),
        ),
    ):
        command_line.define(flag_values, name, default, help, kind)
    command_line.parse(flag_values, argv, __doc__)
    with command_line.usage_errors(argv[0]):
        flag_values["output_dir"].value = "unused"
        experiment = experiments.from_flags(flag_values).scaled()
        data = build.load_data(
            experiment.dataset,
            experiment.data_dir,
            experiment.image_size,
            experiment.augmentation,
        )
        build.steps_per_epoch(experiment, data)
        arms = [
            _Arm(
                experiment,
                name,
                data,
                flag_values["steps"].value,
                flag_values["measured_period"].value or experiment.period(0),
            )
            for name in flag_values["networks"].value
        ]
    with command_line.run_errors(argv[0]), one_sentence(afterwards=""):
        _measure(arms, flag_values["rounds"].value)
    terminal.console().print(_table(experiment, arms))


def _known(name):
    if name not in _NETWORKS:
        raise ValueError(f"must be among {', '.join(_NETWORKS)}")
    return name


class _Arm:
    """One network, trained for a round at a time.

    Attributes:
        seconds: Of each round.
        moves: Seconds of each reallocation.
    """

    def __init__(self, experiment, name, data, steps, period):
        self.name, self.seconds, self.moves = name, [], []
        self._schedule = experiment.period
        self.experiment = dataclasses.replace(
            experiment,
            method=_METHODS.get(name, name),
            period=Schedule(period, integer=True),
        )
        per_epoch = build.steps_per_epoch(self.experiment, data)
        self.steps_per_epoch, self.steps = per_epoch, steps or per_epoch
        keras.utils.set_random_seed(experiment.seed)
        self._model = networks.build_model(
            self.experiment, data.image_shape, data.num_classes
        )
        build.compile_model(self._model, self.experiment, self.steps)
        reallocation = build.checked_callback(
            self.experiment, self._model, per_epoch
        )
        self._folder = None
        if name == _SAVING:
            self._folder = tempfile.TemporaryDirectory()
        self._clock = _Clock(reallocation, self._save)
        self._batches = build.train_batches(self.experiment, data)

    def _save(self):
        if self._folder is not None:
            step = int(ops.convert_to_numpy(self._model.optimizer.iterations))
            checkpoint.save(self._folder.name, self._model, step, {})

    def fit(self):
        self._model.fit(
            self._batches,
            epochs=1,
            steps_per_epoch=self.steps,
            callbacks=[self._clock],
            shuffle=False,
            verbose=0,
        )
        self.seconds.append(self._clock.seconds)
        self.moves += self._clock.moves

    def added(self, static):
        """What reallocation adds to the time of the whole schedule."""
        stop = end = self.experiment.epochs
        if self.experiment.stop_epoch is not None:
            stop = min(end, self.experiment.stop_epoch)
        per_epoch = static * self.steps_per_epoch / self.steps
        starts = [epoch for epoch in self._schedule.values if epoch < stop]
        moves = sum(
            (after - epoch) * self.steps_per_epoch / self._schedule(epoch)
            for epoch, after in zip(starts, [*starts[1:], stop])
        )
        total = end * per_epoch
        return moves * statistics.median(self.moves) / total


class _Clock(keras.callbacks.Callback):
    """Times a round, without what `fit` sets up before it, and all that the
    callback of the method does between steps; the round ends with `save`."""

    def __init__(self, reallocation, save):
        super().__init__()
        self._reallocation, self._save = reallocation, save

    def set_model(self, model):
        super().set_model(model)
        if self._reallocation is not None:
            self._reallocation.set_model(model)
            self._reallocation.listener = self._count

    def on_train_begin(self, logs=None):
        self._pass_on("on_train_begin")

    def on_train_end(self, logs=None):
        self._pass_on("on_train_end")

    def on_epoch_begin(self, epoch, logs=None):
        self.moves, self._moved = [], False
        self._start = time.perf_counter()
        self._pass_on("on_epoch_begin", epoch)

    def on_epoch_end(self, epoch, logs=None):
        self._pass_on("on_epoch_end", epoch)
        self._save()
        self.seconds = time.perf_counter() - self._start

    def on_train_batch_begin(self, batch, logs=None):
        start = time.perf_counter()
        self._pass_on("on_train_batch_begin", batch)
        if self._moved:
            self.moves.append(time.perf_counter() - start)
            self._moved = False

    def _count(self, record):
        self._moved = True

    def _pass_on(self, name, *arguments):
        if self._reallocation is not None:
            getattr(self._reallocation, name)(*arguments)


def _measure(arms, rounds):
    for arm in arms:
        arm.fit()  # Compiles.
        arm.seconds, arm.moves = [], []
    for number in range(rounds):
        # Every other round in reverse: a drift of the machine cancels.
        for arm in arms if number % 2 else reversed(arms):
            arm.fit()


def _table(experiment, arms):
    first = arms[0]
    table = Table(
        title=f"{experiment.model} on {experiment.dataset}, batch "
        f"{experiment.batch_size}, sparsity {experiment.sparsity:g}, "
        f"{len(first.seconds)} rounds of {first.steps} steps, a reallocation "
        f"every {first.experiment.period(0)}",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("network")
    for column in (
        "seconds",
        "to dense",
        "to static",
        "reallocation, ms",
        "adds",
    ):
        table.add_column(column, justify="right")
    by_name = {arm.name: arm for arm in arms}
    dense, static = by_name.get("dense"), by_name.get("static")
    for arm in arms:
        cells = [f"{statistics.median(arm.seconds):.3f}"]
        cells += [_ratio(arm, rival) for rival in (dense, static)]
        if arm.moves:
            base = statistics.median((static or dense or arm).seconds)
            cells.append(f"{1000 * statistics.median(arm.moves):.1f}")
            cells.append(f"{arm.added(base):.2%}")
        table.add_row(arm.name.replace("_", " "), *cells)
    return table


def _ratio(arm, rival):
    if rival is None:
        return ""
    pairs = zip(arm.seconds, rival.seconds)
    return f"{statistics.median(a / b for a, b in pairs):.3f}"
