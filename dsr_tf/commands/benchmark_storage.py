"""What storages cost: `python -m dsr_tf.benchmark --storage=masked,blocks`.

Trains fully connected networks of the widths that --widths names on made-up
inputs: dense, dense again, and with each storage at each density, whose
weights move by DSR once in a round. The outputs' layer is dense in all of
them. Prints, of each: CPU time of a step on one thread, the median of rounds
in turn, and its ratio to dense (the second dense network shows how far a
ratio of equals strays from 1); memory, resident in a process of its own after
some steps, above that of a network of a few weights; and bytes of the .keras
file, with the optimizer's slots.
"""

import dataclasses
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

import keras
import numpy as np
from absl import flags
from absl import logging
from rich import box
from rich.table import Table

from dsr_tf import callbacks
from dsr_tf import command_line
from dsr_tf.command_line import RunError
from dsr_tf.command_line import UsageError
from dsr_tf.command_line import terminal
from dsr_tf.command_line.flag_kinds import Density
from dsr_tf.command_line.flag_kinds import ListOf
from dsr_tf.command_line.flag_kinds import Whole
from dsr_tf.layers import SparseDense

# Of single weights; all others store blocks.
_OF_ELEMENTS = ("masked", "lists")
_STEPS_OF_MEMORY = 5
_MEASURE = "from dsr_tf.commands import benchmark_storage as b; b.memory()"


def asks(argv: list[str]) -> bool:
    """Whether a command line is about storages."""
    return any(argument.split("=")[0] == "--storage" for argument in argv[1:])


@dataclasses.dataclass
class Arm:
    """One network.

    Attributes:
        name: What to call it.
        widths: Units of its layers, the inputs first.
        storage: Name of its storage; None for dense.
        density: Active share of the hidden layers.
        block: Side of blocks.
        batch_size: Examples of a step.
        milliseconds: CPU time of a step, of each round.
    """

    name: str
    widths: list[int]
    storage: str | None
    density: float
    block: int
    batch_size: int
    milliseconds: list[float] = dataclasses.field(default_factory=list)

    def model(self) -> keras.Model:
        """The network, compiled."""
        inputs = x = keras.Input((self.widths[0],))
        for seed, units in enumerate(self.widths[1:-1]):
            if self.storage is None:
                layer = keras.layers.Dense(units, activation="relu")
            else:
                layer = SparseDense(
                    units,
                    1 - self.density,
                    "element"
                    if self.storage in _OF_ELEMENTS
                    else f"block:{self.block}",
                    seed,
                    self.storage,
                    activation="relu",
                )
            x = layer(x)
        model = keras.Model(inputs, keras.layers.Dense(self.widths[-1])(x))
        model.compile(
            keras.optimizers.SGD(0.01, momentum=0.9),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        return model

    def data(self, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Made-up inputs and targets of so many steps."""
        generator = np.random.default_rng(0)
        number = steps * self.batch_size
        x = generator.normal(size=(number, self.widths[0]))
        y = generator.integers(0, self.widths[-1], number)
        return x.astype("float32"), y

    def fit(self, model: keras.Model, steps: int, *callbacks: Any) -> None:
        """Train for so many steps."""
        model.fit(
            *self.data(steps),
            batch_size=self.batch_size,
            shuffle=False,
            verbose=0,
            callbacks=list(callbacks),
        )


class _Clock(keras.callbacks.Callback):
    """CPU time of an epoch, without what `fit` sets up before it."""

    seconds = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._start = time.process_time()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seconds = time.process_time() - self._start


class _Training:
    """A network that is trained for a round at a time."""

    def __init__(self, arm: Arm, steps: int) -> None:
        self._arm, self._steps, self._model = arm, steps, arm.model()
        self._clock = _Clock()
        self._callbacks: list[Any] = [self._clock]
        if arm.storage is not None:
            self._callbacks.append(
                callbacks.DynamicSparseReparameterization(
                    num_reallocated=0.02,
                    period=steps,
                    initial_threshold=0.01,
                    seed=0,
                )
            )

    def round(self) -> float:
        """Milliseconds of CPU time of a step."""
        self._arm.fit(self._model, self._steps, *self._callbacks)
        return 1e3 * self._clock.seconds / self._steps

    def file_bytes(self) -> int:
        """Bytes of the .keras file."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model.keras"
            self._model.save(path)
            return path.stat().st_size


def run(argv: list[str]) -> None:
    flag_values = flags.FlagValues()
    for name, default, help, kind in (
        (
            "storage",
            "masked,blocks",
            f"Storages to measure, of {', '.join(SparseDense.storages)}.",
            ListOf(_storage, distinct=True),
        ),
        (
            "densities",
            "0.1",
            "Shares of active weights of the hidden layers, in (0, 1].",
            ListOf(Density().parse, distinct=True),
        ),
        (
            "widths",
            "784,2048,2048,10",
            "Inputs, units of the hidden layers, and outputs.",
            ListOf(Whole(1).parse),
        ),
        ("block", 32, "Largest side of blocks.", Whole(2)),
        ("batch_size", 128, "Examples of a step.", Whole(1)),
        ("steps", 50, "Steps of a round, with one reallocation.", Whole(1)),
        ("rounds", 9, "Times that each network is trained.", Whole(1)),
    ):
        command_line.define(flag_values, name, default, help, kind)
    command_line.parse(flag_values, argv, __doc__)
    values = flag_values.flag_values_dict()
    with command_line.usage_errors(argv[0]):
        arms = _arms(values)
    with command_line.run_errors(argv[0]):
        _use_one_thread()
        terminal.console().print(_measured(arms, values))


def _use_one_thread() -> None:
    """Let threads not wait for each other, which takes CPU time as well."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        try:
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        except RuntimeError:
            # In a process that has computed before it stays as it is.
            logging.warning("TensorFlow may use several threads here.")


def _storage(name: str) -> str:
    if name not in SparseDense.storages:
        raise ValueError(f"must be among {', '.join(SparseDense.storages)}")
    return name


def _arms(values: dict[str, Any]) -> list[Arm]:
    widths = values["widths"]
    if len(widths) < 3:
        raise UsageError(
            "--widths must have the inputs, a hidden layer or more, and the "
            f"outputs. Received: --widths={','.join(map(str, widths))}"
        )
    shared = (values["block"], values["batch_size"])
    arms = [
        Arm(name, widths, None, 1.0, *shared)
        for name in ("dense layers", "dense layers again")
    ]
    for density in values["densities"]:
        arms += [
            Arm(f"{storage}, {density:g}", widths, storage, density, *shared)
            for storage in values["storage"]
        ]
    return arms


def _measured(arms: list[Arm], values: dict[str, Any]) -> Table:
    memories = [_memory_of(arm) for arm in arms]
    trainings = [_Training(arm, values["steps"]) for arm in arms]
    for training in trainings:
        training.round()  # Compiles.
    for number in range(values["rounds"]):
        # Every other round in reverse: a drift of the machine cancels.
        order = list(zip(arms, trainings))
        for arm, training in order if number % 2 else reversed(order):
            arm.milliseconds.append(training.round())
    table = Table(box=box.SIMPLE_HEAD, title="-".join(map(str, arms[0].widths)))
    table.add_column("network", overflow="fold")
    for column in ("ms a step", "times faster", "memory MB", "file kB"):
        table.add_column(column, justify="right", no_wrap=True)
    for arm, training, memory in zip(arms, trainings, memories):
        ratio = statistics.median(
            dense / own
            for dense, own in zip(arms[0].milliseconds, arm.milliseconds)
        )
        table.add_row(
            arm.name,
            f"{statistics.median(arm.milliseconds):.2f}",
            f"{ratio:.2f}",
            f"{memory / 1e6:,.0f}",
            f"{training.file_bytes() / 1e3:,.0f}",
        )
    return table


def _memory_of(arm: Arm) -> float:
    """Bytes that are resident in a process that trains it."""
    settings = dataclasses.asdict(arm)
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE],
        input=json.dumps(settings),
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        raise RunError(f"{arm.name}: no memory was measured ({''.join(last)})")
    return float(done.stdout.splitlines()[-1])


def memory() -> None:
    """Print the bytes that training the network of standard input takes."""
    arm = Arm(**json.load(sys.stdin))
    small = dataclasses.replace(arm, widths=[8, 8, 2], storage=None)
    small.fit(small.model(), _STEPS_OF_MEMORY)
    before = _resident()
    model = arm.model()
    arm.fit(model, _STEPS_OF_MEMORY)
    print(_resident() - before)
    del model


def _resident() -> float:
    """Bytes of this process in memory; at most so far where that is all
    that the system says."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
