"""What a run has found: `python -m dsr_tf.report --run=DIR`.

Prints the results of a finished run of `dsr_tf.train` and where its budget
lies, and draws the densities of its kernels over time to
DIR/densities.png, or to --plot.
"""

import json
import os
import sys

from absl import flags
from rich import box
from rich.console import Console
from rich.table import Table

from dsr_tf import command_line
from dsr_tf import density_plot
from dsr_tf.command_line import UsageError


def main(argv=None):
    argv = argv or ["dsr_tf.report", *sys.argv[1:]]
    flag_values = flags.FlagValues()
    for name, help in (
        ("run", "Folder of a finished run."),
        ("plot", "File for the picture; by default densities.png there."),
    ):
        command_line.define(flag_values, name, None, help)
    command_line.parse(flag_values, argv, __doc__)
    with command_line.usage_errors(argv[0]):
        folder = flag_values["run"].value
        summary = _read_summary(folder)
    console = Console()
    console.print(results_table(summary, folder))
    console.print(_kernels_table(summary))
    moves = os.path.join(folder, "reallocations.csv")
    if not summary["num_reallocations"]:
        console.print("No weights have moved, so there is no picture.")
        return
    path = flag_values["plot"].value or os.path.join(folder, "densities.png")
    sizes = {k["path"]: k["size"] for k in summary["kernels"]}
    density_plot.write_plot(
        *density_plot.read_densities(moves, sizes),
        path,
        f"{summary['model']} on {summary['dataset']}, {summary['method']}",
    )
    console.print(f"Drawn to {path}", highlight=False, soft_wrap=True)


def _read_summary(folder):
    if not folder:
        raise UsageError("flag --run is required: the folder of a run")
    path = os.path.join(folder, "summary.json")
    try:
        with open(path) as file:
            summary = json.load(file)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"flag --run={folder}: must be the folder of a finished run of "
            f"dsr_tf.train ({error})"
        ) from error
    if "kernels" not in summary:
        raise UsageError(
            f"flag --run={folder}: was trained by an earlier version, which "
            "did not note the kernels in summary.json"
        )
    return summary


def results_table(summary, folder):
    """The results of one run, a line each.

    Args:
        summary: Dict as in `summary.json`.
        folder: The run's folder, named below the table.
    """
    table = Table(
        title="Results",
        box=box.SIMPLE_HEAD,
        show_header=False,
        caption=f"Written to {folder}: summary.json, metrics.csv, "
        "reallocations.csv, checkpoints/, saved_model/, model.keras",
    )
    table.add_column(style="bold")
    table.add_column(justify="right")
    dense_bytes = 4 * summary["num_parameters"]
    stored = summary["saved_model_bytes"]
    top5 = summary.get("test_top5_accuracy")
    for name, value in (
        ("method", summary["method"]),
        ("data set", summary["dataset"]),
        ("model", summary["model"]),
        ("epochs", summary["epochs"]),
        ("test accuracy", f"{summary['test_accuracy']:.2%}"),
        *([("test accuracy, top 5", f"{top5:.2%}")] if top5 else []),
        ("best test accuracy", f"{summary['best_test_accuracy']:.2%}"),
        ("parameters", f"{summary['num_parameters']:,}"),
        ("active parameters", f"{summary['num_active_parameters']:,}"),
        ("density of masked kernels", f"{summary['mask_density']:.4f}"),
        ("density of all parameters", f"{summary['model_density']:.4f}"),
        ("reallocations", f"{summary['num_reallocations']:,}"),
        ("seconds per epoch", f"{summary['seconds_per_epoch']:.2f}"),
        (
            "SavedModel",
            f"{stored / 1000:,.1f} kB ({_compared(stored, dense_bytes)} than "
            "dense float32)",
        ),
    ):
        table.add_row(name, str(value))
    return table


def _compared(size, other):
    if size <= other:
        return f"{other / size:.1f} times smaller"
    return f"{size / other:.1f} times larger"


def _kernels_table(summary):
    table = Table(title="Masked kernels", box=box.SIMPLE_HEAD)
    table.add_column("kernel", overflow="fold")
    for column in ("weights", "active", "density"):
        table.add_column(column, justify="right")
    for kernel in summary["kernels"]:
        table.add_row(
            kernel["path"],
            f"{kernel['size']:,}",
            f"{kernel['num_active']:,}",
            f"{kernel['density']:.4f}",
        )
    return table


if __name__ == "__main__":
    main()
