"""What runs have found: `python -m dsr_tf.report --run=DIR`.

Prints the results of finished runs of `dsr_tf.train` and where their budget
lies, and writes all that they logged as one page for a browser: to
DIR/report.html, of several runs to report.html, or to --html. The densities
of the kernels of one run are drawn to DIR/densities.png, too, or to --plot.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from absl import flags
from rich.console import Console

from dsr_tf import command_line
from dsr_tf.command_line import UsageError
from dsr_tf.command_line import output_paths
from dsr_tf.command_line import terminal
from dsr_tf.command_line.flag_kinds import ListOf
from dsr_tf.commands import density_plot
from dsr_tf.commands.results import channels_table
from dsr_tf.commands.results import kernels_table
from dsr_tf.commands.results import results_table
from dsr_tf.page.page import page
from dsr_tf.page.run import Run
from dsr_tf.training import files
from dsr_tf.training import run_summary

# What the tables show of a summary.
_SHOWN = (
    "method",
    "dataset",
    "model",
    "epochs",
    "test_accuracy",
    "best_test_accuracy",
    "num_parameters",
    "num_active_parameters",
    "mask_density",
    "model_density",
    "num_reallocations",
    "seconds_per_epoch",
    "saved_model_bytes",
    "kernels",
)


def main(argv: list[str] | None = None) -> None:
    argv = argv or command_line.arguments("report")
    flag_values = flags.FlagValues()
    command_line.define(
        flag_values,
        "run",
        None,
        "Folders of finished runs, separated by commas.",
        ListOf(str, distinct=True),
    )
    for name, help in (
        ("html", "File for the page; by default report.html there."),
        ("plot", "File for the picture; by default densities.png there."),
    ):
        command_line.define(flag_values, name, None, help)
    command_line.parse(flag_values, argv, __doc__)
    with command_line.usage_errors(argv[0]):
        values = flag_values.flag_values_dict()
        folders, plot = values["run"], values["plot"]
        command_line.require(values, {"run": "the folder of a run"})
        _check_distinct(folders)
        is_one = len(folders) == 1
        html = values["html"] or os.path.join(
            folders[0] if is_one else "", "report.html"
        )
        summaries = [_read_summary(folder) for folder in folders]
        _check_html(html)
        if plot:
            _check_plot(plot, folders, summaries)
        elif is_one and summaries[0]["num_reallocations"]:
            plot = os.path.join(folders[0], "densities.png")
            output_paths.check_file("plot", plot)
        runs = [_read_run(*pair) for pair in zip(folders, summaries)]
    console = terminal.console()
    for run in runs:
        _print(console, run)
    moves = runs[0].moves
    if plot and moves is not None:
        densities = np.vstack([moves.densities_at_start, moves.densities])
        lines = dict(zip(moves.paths, densities.T.tolist()))
        _write(
            argv[0],
            plot,
            lambda path: density_plot.write_plot(
                [0, *moves.steps.tolist()], lines, path, runs[0].title
            ),
        )
    elif is_one:
        console.print(
            "No weights have moved, so there is no picture of densities."
        )
    _write(argv[0], html, lambda path: _write_page(path, page(runs)))
    drawn = f"{plot}, and with all else to {html}" if plot else html
    console.print(f"Drawn to {drawn}", highlight=False, soft_wrap=True)


def _check_distinct(folders: list[str]) -> None:
    """Refuse a folder that is named twice, in whatever way."""
    known: dict[str, str] = {}
    for folder in folders:
        same = known.setdefault(os.path.realpath(folder), folder)
        if same is not folder:
            raise UsageError(
                f"flag --run={','.join(folders)}: {same} and {folder} are "
                "the same folder"
            )


def _print(console: Console, run: Run) -> None:
    summary = run.summary
    console.print(results_table(summary, run.folder, "Read from"))
    if "narrowed" in summary:
        console.print(channels_table(summary))
    if summary["kernels"]:
        console.print(kernels_table(summary))
    elif "narrowed" not in summary:
        console.print("No kernel has a mask.")


def _write_page(path: str, text: str) -> None:
    with files.written_whole(path) as file:
        file.write(text.encode())


def _write(name: str, path: str, write: Callable[[str], None]) -> None:
    """Write a picture or page, or end with a sentence."""
    try:
        write(path)
    except OSError as error:
        command_line.say(name, f"{path} could not be written ({error})")
        sys.exit(command_line.RUN_ERROR)


def _read_summary(folder: str) -> dict[str, Any]:
    wanted = (
        f"flag --run={folder}: must be the folder of a finished run of "
        "dsr_tf.train"
    )
    try:
        summary = run_summary.read(folder)
        if "kernels" not in summary:
            raise UsageError(
                f"flag --run={folder}: was trained by an earlier version, "
                "which did not note the kernels in summary.json"
            )
        return run_summary.read(folder, _SHOWN)
    except (FileNotFoundError, run_summary.Damaged) as error:
        raise UsageError(f"{wanted} ({error})") from error


def _read_run(folder: str, summary: dict[str, Any]) -> Run:
    try:
        return Run.read(folder, summary)
    except ValueError as error:
        raise UsageError(f"flag --run={folder}: {error}") from error


def _check_html(path: str) -> None:
    """Refuse a page that could not be written, before anything is."""
    if not path.lower().endswith((".html", ".htm")):
        raise UsageError(f"flag --html={path}: must end in .html")
    output_paths.check_file("html", path)


def _check_plot(
    path: str, folders: list[str], summaries: list[dict[str, Any]]
) -> None:
    """Refuse a picture that could not be drawn, before anything is."""
    ending = os.path.splitext(path)[1].removeprefix(".").lower()
    if ending not in density_plot.endings():
        raise UsageError(
            f"flag --plot={path}: must end in one of "
            f"{', '.join('.' + known for known in density_plot.endings())}"
        )
    output_paths.check_file("plot", path)
    if len(folders) > 1:
        raise UsageError(
            f"flag --plot={path}: is a picture of one run, and --run names "
            f"{len(folders)}"
        )
    if not summaries[0]["num_reallocations"]:
        raise UsageError(
            f"flag --plot={path}: no weights have moved in --run="
            f"{folders[0]}, so there is no picture"
        )
