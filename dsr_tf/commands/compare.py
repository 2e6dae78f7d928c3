"""Compare methods: `python -m dsr_tf.compare --flagfiles=A,B --output_dir=DIR`.

Trains a network for each flagfile, density and seed by `dsr_tf.train`, each
in a folder of its own below --output_dir. A finished run is not run again
and an interrupted one is resumed, so the same command goes on where it
stopped. All flags of `dsr_tf.train` but --seed, --sparsity and --resume may
be given; they hold for every run.

A flagfile may say --initial_checkpoint={dense} or --copy_masks_from={dsr}:
the run of that flagfile with the same seed and density, which must come
before it in the list.

Writes comparison.csv, comparison.md, comparison.png and, of runs that noted
them, multiply-adds in comparison_macs.png; with --tensorboard also what
`tensorboard --logdir=DIR` shows, with runs by settings and results. Times
are those of the runs themselves: to compare them, run one at a time on a
quiet machine, or use `dsr_tf.benchmark`.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from collections.abc import Sequence

from absl import flags
from rich.console import Console

from dsr_tf import command_line
from dsr_tf.command_line import UsageError
from dsr_tf.command_line import output_paths
from dsr_tf.command_line import terminal
from dsr_tf.command_line.flag_kinds import Density
from dsr_tf.command_line.flag_kinds import ListOf
from dsr_tf.command_line.flag_kinds import Whole
from dsr_tf.commands.compare_report import RunReport
from dsr_tf.comparison import aggregate
from dsr_tf.comparison import run_log
from dsr_tf.comparison import tables
from dsr_tf.comparison.columns import TABLES
from dsr_tf.comparison.execute import Stopped
from dsr_tf.comparison.execute import execute
from dsr_tf.comparison.plan import PlannedRun
from dsr_tf.comparison.plan import common_flags
from dsr_tf.comparison.plan import plan
from dsr_tf.comparison.plot import write_plot
from dsr_tf.core.draws import MAX_SEED
from dsr_tf.training import board
from dsr_tf.training import experiment as experiments

# What tells the folder of a run, finished or not.
_OF_A_RUN = ("summary.json", "metrics.csv", "checkpoints")
# Flags without which there is nothing to do, and what they are.
_REQUIRED = {
    "flagfiles": "files of flags of dsr_tf.train, with commas between them",
    "output_dir": "the folder that the runs are written to",
}
# Set by the comparison itself: the flag, and what to give in its place.
_PER_RUN = {
    "seed": "--seeds",
    "sparsity": "--densities",
    "resume": "the same command again to go on",
}


def main(argv: list[str] | None = None) -> None:
    argv = argv or command_line.arguments("compare")
    flag_values = flags.FlagValues()
    experiments.define_flags(flag_values)
    for name, default, help, kind in (
        ("flagfiles", None, "Flagfiles of dsr_tf.train.", ListOf(str)),
        (
            "seeds",
            "1",
            "Seeds.",
            ListOf(Whole(0, MAX_SEED).parse, distinct=True),
        ),
        (
            "densities",
            "0.1",
            "Shares of active weights, in (0, 1].",
            ListOf(Density().parse, distinct=True),
        ),
        ("parallel_runs", 1, "Runs at a time.", Whole(1)),
        (
            "table",
            "results",
            "What to print, and write to comparison.md: the results, or the "
            "columns of the paper's Table 6, found in what the runs did.",
            tuple(TABLES),
        ),
    ):
        command_line.define(flag_values, name, default, help, kind)
    command_line.parse(flag_values, argv, __doc__, hidden=_PER_RUN)
    with command_line.usage_errors(argv[0]):
        folder, runs = _plan(flag_values)
        finished = [run.summary() is not None for run in runs]
    console = terminal.console()
    console.print(
        f"{len(runs)} runs, {sum(finished)} of them finished before.",
        highlight=False,
    )
    values = flag_values.flag_values_dict()
    logs = os.path.join(folder, "logs")
    with command_line.usage_errors(argv[0]), _endings(argv[0]):
        boards = [run.settings for run in runs if run.settings["tensorboard"]]
        if boards:
            board.describe(os.path.join(folder, board.FOLDER), boards)
        failed, skipped = execute(
            runs,
            logs,
            values["parallel_runs"],
            RunReport(console, logs),
        )
        _write(console, folder, runs, values["table"])
    for run in failed:
        log = run_log.path(logs, run)
        command_line.say(argv[0], f"the run {run} failed, see {log}")
    for run in skipped:
        needed = ", ".join(os.path.basename(path) for path in run.needs)
        command_line.say(
            argv[0],
            f"the run {run} was not started, for it needs {needed}",
        )
    if failed or skipped:
        sys.exit(command_line.RUN_ERROR)


@contextlib.contextmanager
def _endings(name: str) -> Iterator[None]:
    """Turn what may end a comparison into a sentence and an exit code."""
    try:
        yield
    except (Stopped, KeyboardInterrupt) as error:
        stopped = (
            error if isinstance(error, Stopped) else Stopped(signal.SIGINT)
        )
        command_line.say(
            name,
            f"{stopped}, and the runs with it; the same command goes on",
        )
        sys.exit(128 + stopped.number)
    except OSError as error:
        command_line.say(
            name,
            f"cannot write or read a file ({error}); finished runs stay, and "
            "the same command goes on",
        )
        sys.exit(command_line.RUN_ERROR)


def _plan(flag_values: flags.FlagValues) -> tuple[str, list[PlannedRun]]:
    values = flag_values.flag_values_dict()
    command_line.require(values, _REQUIRED)
    for name, instead in _PER_RUN.items():
        if flag_values[name].present:
            raise UsageError(
                f"flag --{name}: is set for each run; give {instead}"
            )
    common = common_flags(flag_values, {*_PER_RUN, "output_dir"})
    folder = values["output_dir"]
    output_paths.check_folder("output_dir", folder, "logs")
    if any(os.path.exists(os.path.join(folder, name)) for name in _OF_A_RUN):
        raise UsageError(
            f"flag --output_dir={folder}: is the folder of a run; a "
            "comparison needs one of its own"
        )
    runs = plan(
        values["flagfiles"],
        values["seeds"],
        values["densities"],
        folder,
        common,
    )
    return folder, runs


def _write(
    console: Console, folder: str, runs: Sequence[PlannedRun], table: str
) -> None:
    finished = [
        (run, summary)
        for run, summary in ((run, run.summary()) for run in runs)
        if summary
    ]
    if not finished:
        return
    rows, settings = aggregate.rows(finished), runs[-1].settings
    title = f"{settings['model']} on {settings['dataset']}"
    tables.write_csv(rows, os.path.join(folder, "comparison.csv"))
    path = os.path.join(folder, "comparison.md")
    with open(path, "w", encoding="utf-8") as file:
        file.write(tables.markdown(rows, table))
    pictures = {"comparison.png": "num_parameters"}
    # (Runs of earlier versions did not note them.)
    if all(row.num_active_macs is not None for row in rows):
        pictures["comparison_macs.png"] = "num_active_macs"
    for name, over in pictures.items():
        write_plot(rows, os.path.join(folder, name), title, over)
    console.print(tables.rich_table(rows, title, table))
    console.print(
        f"Written to {folder}: comparison.csv, comparison.md, "
        + ", ".join(pictures),
        highlight=False,
        soft_wrap=True,
    )
