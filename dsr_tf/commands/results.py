"""What a run has found, as tables for a terminal."""

import os
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table

from dsr_tf.core.folding import Name
from dsr_tf.core.named_numbers import NamedNumbers
from dsr_tf.core.printing import NO_MACS
from dsr_tf.core.printing import compared
from dsr_tf.core.printing import short

# Not all methods move weights, and a folder may have been tidied up.
_FILES = (
    "summary.json",
    "metrics.csv",
    "reallocations.csv",
    "ages.csv",
    "masks.json",
    "checkpoints/",
    "saved_model/",
    "model.keras",
    "tensorboard/",
)


def _written(folder: str | os.PathLike) -> list[str]:
    return [f for f in _FILES if os.path.exists(os.path.join(folder, f))]


def results_table(
    summary: Mapping[str, Any],
    folder: str | os.PathLike,
    said: str = "Written to",
) -> Table:
    """The results of one run, a line each.

    Args:
        summary: Dict as in `summary.json`.
        folder: The run's folder, named below the table.
        said: What is said of it there.
    """
    table = Table(
        title="Results",
        box=box.SIMPLE_HEAD,
        show_header=False,
        caption=Name(
            f"{said} {folder}: {', '.join(_written(folder))}",
            style="table.caption",
        ),
        caption_justify="left",
    )
    table.add_column(style="bold")
    table.add_column(justify="right")
    narrowed = summary.get("narrowed")
    all_bytes = 4 * summary["num_parameters"]
    all_of_them = "dense float32"
    if narrowed:
        all_bytes = 4 * narrowed["dense_num_parameters"]
    elif not summary["kernels"]:
        # Those of the network itself: fewer than those of the dense one, if
        # it is thin or its weights are tied.
        all_of_them = "its parameters in float32"
    stored = summary["saved_model_bytes"]
    top5 = summary.get("test_top5_accuracy")
    for name, value in (
        ("method", summary["method"]),
        *([("phase", summary["phase"])] if "phase" in summary else []),
        ("data set", summary["dataset"]),
        ("model", summary["model"]),
        ("epochs", summary["epochs"]),
        ("test accuracy", f"{summary['test_accuracy']:.2%}"),
        *([] if top5 is None else [("test accuracy, top 5", f"{top5:.2%}")]),
        ("best test accuracy", f"{summary['best_test_accuracy']:.2%}"),
        ("parameters", f"{summary['num_parameters']:,}"),
        ("active parameters", f"{summary['num_active_parameters']:,}"),
        *_largest(summary),
        *_densities(summary),
        *_narrowed(summary),
        *_training_macs(summary),
        ("seconds per epoch", f"{summary['seconds_per_epoch']:.2f}"),
        (
            "SavedModel",
            f"{stored / 1000:,.1f} kB ({compared(stored, all_bytes)} "
            f"{all_of_them})",
        ),
    ):
        table.add_row(name, str(value))
    return table


def _largest(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How many were active, where there have been more than at the end."""
    largest = summary.get("largest_num_active_parameters", 0)
    if largest <= summary["num_active_parameters"]:
        return []
    return [("at most, while it trained", f"{largest:,}")]


def _densities(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """That of masks too, and how often they changed, if any are there."""
    of_all = "density of all parameters", f"{summary['model_density']:.4f}"
    if not summary["kernels"]:
        return [of_all]
    return [
        ("density of masked kernels", f"{summary['mask_density']:.4f}"),
        of_all,
        ("reallocations", f"{summary['num_reallocations']:,}"),
    ]


def _narrowed(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is computed, and left of a network that has been made narrower."""
    if "num_macs" not in summary:
        return []  # Of an earlier version.
    if "narrowed" not in summary:
        return [
            ("multiply-adds", f"{summary['num_macs']:,}"),
            *_active_macs(summary),
        ]
    found, macs = summary["narrowed"], summary["num_macs"]
    units = list(found["units"].values())
    left, total = (sum(pair[place] for pair in units) for place in (0, 1))
    return [
        (
            "parameters that are written",
            f"{found['num_parameters']:,} of {found['dense_num_parameters']:,}",
        ),
        ("multiply-adds", f"{macs:,} of {found['dense_num_macs']:,}"),
        *_active_macs(summary),
        ("channels", f"{left:,} of {total:,}"),
        *(
            [("test accuracy as written", f"{found['test_accuracy']:.2%}")]
            if "test_accuracy" in found
            else []
        ),
    ]


def _active_macs(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Those by active weights, where some are not."""
    active = summary.get("num_active_macs")
    if active is None or active == summary["num_macs"]:
        return []
    return [("by active weights", f"{active:,}")]


def _training_macs(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What training multiplied, of a run that noted it, or why not."""
    name = "multiply-adds of training"
    if "training_macs_unknown" in summary:
        return [(name, f"not known: {summary['training_macs_unknown']}")]
    if "training_macs_ratio" not in summary:
        return []
    return [(name, f"{summary['training_macs_ratio']:.4f} of dense")]


def channels_table(summary: Mapping[str, Any]) -> Table:
    """How many channels of each set are left.

    Args:
        summary: Dict as in `summary.json`, of a run that has been narrowed.
    """
    table = NamedNumbers(
        "Channels that are left", "channels of", ("all", "left", "share")
    )
    for name, (left, total) in summary["narrowed"]["units"].items():
        share = f"{left / total:.4f}" if total else ""
        table.add_line(name, f"{total:,}", f"{left:,}", share)
    return table


def kernels_table(summary: Mapping[str, Any]) -> Table:
    """The masked kernels and their densities.

    Args:
        summary: Dict as in `summary.json`.
    """
    # Runs of earlier versions did not note them.
    has_macs = any("num_uses" in kernel for kernel in summary["kernels"])
    lacks_macs = any(k.get("num_uses") is None for k in summary["kernels"])
    columns = ["weights", "active", "density"]
    columns += ["MACs", "active MACs"] if has_macs else []
    note = NO_MACS if has_macs and lacks_macs else ""
    table = NamedNumbers("Masked kernels", "kernel", columns, note)

    def macs(kernel: Mapping[str, Any]) -> list[str]:
        uses = kernel.get("num_uses")
        return [
            short(None if uses is None else uses * kernel[number])
            for number in ("size", "num_active")
        ]

    for kernel in summary["kernels"]:
        table.add_line(
            kernel["path"],
            f"{kernel['size']:,}",
            f"{kernel['num_active']:,}",
            f"{kernel['density']:.4f}",
            *(macs(kernel) if has_macs else []),
        )
    return table
