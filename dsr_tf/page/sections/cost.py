"""What the network costs: parameters, multiply-adds and bytes."""

from collections.abc import Mapping
from typing import Any

from dsr_tf.page import numbers
from dsr_tf.page.heat import MAX_ROWS
from dsr_tf.page.markup import Markup
from dsr_tf.page.markup import element
from dsr_tf.page.markup import short_name
from dsr_tf.page.run import Run
from dsr_tf.page.sections.section import section
from dsr_tf.page.table import bar
from dsr_tf.page.table import table


def of(run: Run) -> Markup:
    return section(
        "Cost",
        "Dense is with zeros, active without them. A multiply-add is one of "
        "a weight, for one example.",
        table(("", "dense", "active", "share"), _whole(run.summary)),
        _kernels(run.summary["kernels"]),
    )


def _whole(summary: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """Rows of the whole network."""
    narrowed = summary.get("narrowed", {})
    dense = narrowed.get("dense_num_parameters", summary["num_parameters"])
    active = summary["num_active_parameters"]
    rows = [_row("parameters", dense, active)]
    macs = narrowed.get("dense_num_macs", summary.get("num_macs"))
    if macs and summary.get("num_active_macs") is not None:
        rows.append(
            _row(
                "multiply-adds", macs, summary["num_active_macs"], numbers.short
            )
        )
    ratio = summary.get("training_macs_ratio")
    trained = summary.get("num_training_macs")
    if ratio and trained:
        rows.append(
            _row(
                "multiply-adds of training",
                trained / ratio,
                trained,
                numbers.short,
            )
        )
    stored = summary["saved_model_bytes"]
    rows += [
        _row("weights in float32, bytes", 4 * dense, 4 * active, numbers.size),
        _row(
            "SavedModel, bytes (dense: its weights)",
            4 * dense,
            stored,
            numbers.size,
        ),
    ]
    return rows


def _row(
    name: str, dense: float, active: float, format: Any = numbers.count
) -> tuple[object, ...]:
    share = active / max(1, dense)
    return (
        name,
        format(dense),
        format(active),
        bar(share, numbers.percent(share)),
    )


def _kernels(kernels: list[dict[str, Any]]) -> Markup:
    if not kernels:
        return element("p", "No kernel has a mask.", class_="intro")
    has_macs = all(
        _is_count(k.get(name))
        for k in kernels
        for name in ("num_macs", "num_active_macs")
    )
    names = ("weight_bytes", "mask_bytes", "slot_bytes")
    has_bytes = all(
        _is_count(k.get(name) or 0) and name in k
        for k in kernels
        for name in names
    )
    header = ["kernel", "weights", "active", "density"]
    header += ["multiply-adds", "active"] if has_macs else []
    header += ["in training: weights", "masks", "slots"] if has_bytes else []
    rows = []
    for kernel in kernels[:MAX_ROWS]:
        path = kernel["path"]
        row: list[object] = [
            element("span", short_name(path), title=path),
            numbers.count(kernel["size"]),
            numbers.count(kernel["num_active"]),
            bar(kernel["density"], numbers.percent(kernel["density"])),
        ]
        if has_macs:
            row += [
                numbers.short(kernel["num_macs"]),
                numbers.short(kernel["num_active_macs"]),
            ]
        if has_bytes:
            row += [numbers.size(kernel[name] or 0) for name in names]
        rows.append(row)
    return table(header, rows, "Masked kernels")


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63
