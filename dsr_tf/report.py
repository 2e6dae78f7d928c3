"""What a run reports: its results as a table."""

from rich import box
from rich.table import Table


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
    for name, value in (
        ("method", summary["method"]),
        ("data set", summary["dataset"]),
        ("model", summary["model"]),
        ("epochs", summary["epochs"]),
        ("test accuracy", f"{summary['test_accuracy']:.2%}"),
        ("best test accuracy", f"{summary['best_test_accuracy']:.2%}"),
        ("parameters", f"{summary['num_parameters']:,}"),
        ("active parameters", f"{summary['num_active_parameters']:,}"),
        ("density of masked kernels", f"{summary['mask_density']:.4f}"),
        ("density of all parameters", f"{summary['model_density']:.4f}"),
        ("reallocations", f"{summary['num_reallocations']:,}"),
        ("seconds per epoch", f"{summary['seconds_per_epoch']:.2f}"),
        (
            "SavedModel",
            f"{stored / 1000:,.1f} kB ({dense_bytes / stored:.1f} times "
            "smaller than dense float32)",
        ),
    ):
        table.add_row(name, str(value))
    return table
