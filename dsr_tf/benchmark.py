"""What sparse training costs: `python -m dsr_tf.benchmark`.

Trains the same network dense, with fixed masks, and with reallocation, an
epoch of each in turn, on the same input pipeline. Prints the median seconds
of an epoch and the median ratio to the dense epoch of the same round, which
a busy machine disturbs least; a second dense network shows how far a ratio
of equals strays from 1. Takes the flags of `dsr_tf.train` but --output_dir,
and --rounds.
"""

import dataclasses
import statistics
import sys
import time

import keras
from absl import flags
from rich import box
from rich.console import Console
from rich.table import Table

from dsr_tf import command_line
from dsr_tf import data as datasets
from dsr_tf.command_line import UsageError
from dsr_tf.command_line import Whole
from dsr_tf.training import build
from dsr_tf.training import experiment as experiments
from dsr_tf.training import networks

_ARMS = (
    "dense",
    "dense again",
    "static",
    "set",
    "deep_r",
    "rigl",
    "snfs",
    "dsr",
)


def main(argv=None):
    argv = argv or ["dsr_tf.benchmark", *sys.argv[1:]]
    flag_values = flags.FlagValues()
    experiments.define_flags(flag_values)
    command_line.define(
        flag_values, "rounds", 15, "Epochs of each network.", Whole(1)
    )
    command_line.parse(flag_values, argv, __doc__)
    with command_line.usage_errors(argv[0]):
        flag_values["output_dir"].value = "unused"
        experiment = experiments.from_flags(flag_values)
        data = build.load_data(experiment.dataset, experiment.data_dir)
        fits = [_prepare(experiment, arm, data) for arm in _ARMS]
    seconds = _measure(fits, flag_values["rounds"].value)
    Console().print(_table(experiment, seconds))


def _prepare(experiment, arm, data):
    """A function that trains one epoch of `arm` and returns its seconds."""
    experiment = dataclasses.replace(experiment, method=arm.split()[0])
    steps = build.steps_per_epoch(experiment, data)
    keras.utils.set_random_seed(experiment.seed)
    model = networks.build_model(experiment, data.image_shape, data.num_classes)
    build.compile_model(model, experiment, steps)
    try:
        reallocation = build.build_callback(experiment, model, steps)
        if reallocation is not None:
            reallocation.check(model)
    except ValueError as error:
        raise UsageError(str(error)) from error
    clock = _Clock()

    def fit():
        model.fit(
            datasets.train_batches(data, experiment.batch_size, 0),
            epochs=1,
            steps_per_epoch=steps,
            callbacks=[clock, *([reallocation] if reallocation else [])],
            shuffle=False,
            verbose=0,
        )
        return clock.seconds

    return fit


class _Clock(keras.callbacks.Callback):
    """Times an epoch, without what `fit` sets up before."""

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds = time.perf_counter() - self._start


def _measure(fits, rounds):
    for fit in fits:
        fit()
    seconds = [[] for _ in fits]
    for number in range(rounds):
        # Every other round in reverse: a drift of the machine cancels.
        order = list(zip(fits, seconds))
        for fit, times in order if number % 2 else reversed(order):
            times.append(fit())
    return seconds


def _table(experiment, seconds):
    table = Table(
        title=f"{experiment.model} on {experiment.dataset}, batch "
        f"{experiment.batch_size}, sparsity {experiment.sparsity:g}, a "
        f"reallocation every {experiment.period(0)} steps, "
        f"{len(seconds[0])} rounds",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("network")
    table.add_column("seconds per epoch", justify="right")
    table.add_column("ratio to dense", justify="right")
    for arm, times in zip(_ARMS, seconds):
        ratio = statistics.median(
            time / dense for time, dense in zip(times, seconds[0])
        )
        table.add_row(arm, f"{statistics.median(times):.3f}", f"{ratio:.3f}")
    return table


if __name__ == "__main__":
    main()
