"""What storages cost: `python -m dsr_tf.benchmark --storage=masked,blocks`.

Trains networks of the widths that --widths names on made-up inputs: fully
connected, or of 1x1 convolutions or attention with --layers. They are dense,
dense again, and with each storage at each density, whose weights move by SET
once in a round. The outputs' layer is dense in all of them. Prints, of each:
time of a step, the median of rounds in turn, and its ratio to dense (the
second dense network shows how far a ratio of equals strays from 1); memory,
resident in a process of its own after some steps, above that of a network of
a few weights; and bytes of the .keras file, with the optimizer's slots.

Time is CPU time on one thread. A GPU wants --clock=wall, and inputs that are
few beside the hidden units, so that the time of their transfer is small:
--clock=wall --widths=128,4096,4096,4096,10 --block=128 --batch_size=4096
--steps=200 --steps_per_execution=50. Memory is then the most of the GPU's.
"""

import statistics
from typing import Any

import keras
from absl import flags
from absl import logging
from rich import box
from rich.table import Table

from dsr_tf import command_line
from dsr_tf.command_line import UsageError
from dsr_tf.command_line import terminal
from dsr_tf.command_line.flag_kinds import Density
from dsr_tf.command_line.flag_kinds import ListOf
from dsr_tf.command_line.flag_kinds import Whole
from dsr_tf.commands import benchmark_memory
from dsr_tf.commands import benchmark_output
from dsr_tf.commands.benchmark_layers import KINDS
from dsr_tf.commands.benchmark_network import CLOCKS
from dsr_tf.commands.benchmark_network import Arm
from dsr_tf.commands.benchmark_network import Setting
from dsr_tf.commands.benchmark_network import Training
from dsr_tf.core.folding import Name
from dsr_tf.layers import SparseDense
from dsr_tf.training.settings.running import PRECISIONS

# Figures of a network by name: heading and format.
_COLUMNS = {
    "ms_a_step": ("ms a step", ".2f"),
    "times_faster": ("times faster", ".2f"),
    "memory_mb": ("memory MB", ",.0f"),
    "file_kb": ("file kB", ",.0f"),
}


def asks(argv: list[str]) -> bool:
    """Whether a command line is about storages."""
    return any(argument.split("=")[0] == "--storage" for argument in argv[1:])


def run(argv: list[str]) -> None:
    flag_values = flags.FlagValues()
    command_line.define(flag_values, *benchmark_output.FLAG)
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
        (
            "layers",
            next(iter(KINDS)),
            "What the hidden layers are: Dense; Conv2D, of 1x1; or "
            "MultiHeadAttention, of heads of 64, with its projections.",
            tuple(KINDS),
        ),
        (
            "size",
            14,
            "Height and width of images, which convolutions read; attention "
            "reads a sequence of as many positions.",
            Whole(1),
        ),
        ("block", 32, "Largest side of blocks.", Whole(2)),
        ("batch_size", 128, "Examples of a step.", Whole(1)),
        ("steps", 50, "Steps of a round, with one reallocation.", Whole(1)),
        (
            "steps_per_execution",
            1,
            "Steps in one call of the device.",
            Whole(1),
        ),
        ("mixed_precision", "float32", "Precision of arithmetic.", PRECISIONS),
        ("clock", "cpu", "What to measure time by.", list(CLOCKS)),
        ("rounds", 9, "Times that each network is trained.", Whole(1)),
    ):
        command_line.define(flag_values, name, default, help, kind)
    command_line.parse(flag_values, argv, __doc__)
    values = flag_values.flag_values_dict()
    with command_line.usage_errors(argv[0]):
        benchmark_output.check(values["output"])
        arms = _arms(values)
    with command_line.run_errors(argv[0]):
        if values["clock"] == "cpu":
            _use_one_thread()
        rows = _measured(arms, values)
        terminal.console().print(_table(arms[0].setting, rows))
        benchmark_output.write(values["output"], values, rows)


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
    setting = Setting(
        widths,
        values["block"],
        values["batch_size"],
        _policy(values["mixed_precision"]),
        values["steps_per_execution"],
        values["clock"],
        values["layers"],
        values["size"],
    )
    arms = [Arm(n, setting) for n in ("dense layers", "dense layers again")]
    for density in values["densities"]:
        arms += [
            Arm(f"{storage}, {density:g}", setting, storage, density)
            for storage in values["storage"]
        ]
    return arms


def _measured(arms: list[Arm], values: dict[str, Any]) -> list[dict[str, Any]]:
    """Figures of each network, by name."""
    memories = [benchmark_memory.of(arm) for arm in arms]
    trainings = [Training(arm, values["steps"]) for arm in arms]
    for training in trainings:
        training.warm_up()
    for number in range(values["rounds"]):
        # Every other round in reverse: a drift of the machine cancels.
        order = list(zip(arms, trainings))
        for arm, training in order if number % 2 else reversed(order):
            arm.milliseconds.append(training.round())
    return [
        {
            "network": arm.name,
            "ms_a_step": statistics.median(arm.milliseconds),
            "times_faster": statistics.median(
                dense / own
                for dense, own in zip(arms[0].milliseconds, arm.milliseconds)
            ),
            "memory_mb": memory / 1e6,
            "file_kb": training.file_bytes() / 1e3,
        }
        for arm, training, memory in zip(arms, trainings, memories)
    ]


def _table(setting: Setting, rows: list[dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=_title(setting))
    table.add_column("network", overflow="fold")
    for heading, _ in _COLUMNS.values():
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        cells = benchmark_output.cells(row, _COLUMNS)
        table.add_row(Name(row["network"]), *cells)
    return table


def _policy(precision: str) -> str:
    return precision if precision == "float32" else f"mixed_{precision}"


def _title(setting: Setting) -> str:
    return f"{'-'.join(map(str, setting.widths))}, {setting.policy}"
