"""A comparison as text: for the terminal, as CSV and as Markdown."""

import csv
import dataclasses
import os
from collections.abc import Sequence

from rich import box
from rich.table import Table

from dsr_tf.comparison.aggregate import Row

_COLUMNS = (
    "density",
    "method",
    "accuracy %",
    "to dense",
    "parameters",
    "kernels",
    "all",
    "time",
)
# A terminal has no room for these.
_MORE_COLUMNS = ("MACs",)
_CAPTION = (
    "Test accuracy after the last epoch, mean ± standard deviation over "
    "seeds ({seeds}), and its difference to dense; active parameters, their "
    "share of the masked kernels and of all; time of an epoch, dense = 1"
)


def rich_table(rows: Sequence[Row], title: str) -> Table:
    """The rows as a `rich` table, a section for each density."""
    counts = sorted({row.num_seeds for row in rows})
    table = Table(
        title=title,
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        caption=_CAPTION.format(seeds=" or ".join(map(str, counts))),
    )
    for column in _COLUMNS:
        is_text = column in ("density", "method")
        table.add_column(
            column, justify="left" if is_text else "right", no_wrap=True
        )
    last = None
    for row in _by_density(rows):
        if last is not None and row.density != last.density:
            table.add_section()
        table.add_row(*_cells(row))
        last = row
    return table


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table, a string."""
    columns = _COLUMNS + _MORE_COLUMNS
    lines = [
        "| " + " | ".join(columns) + " |",
        "|" + "---|" * len(columns),
    ]
    for row in _by_density(rows):
        cells = *_cells(row), _optional(row.num_macs, ",.0f")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def write_csv(rows: Sequence[Row], path: str | os.PathLike) -> None:
    """The rows as a CSV file, numbers in full."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        fields = [field.name for field in dataclasses.fields(rows[0])]
        writer.writerow(fields)
        for row in _by_density(rows):
            values = dataclasses.astuple(row)
            writer.writerow(["" if v is None else v for v in values])


def _by_density(rows: Sequence[Row]) -> list[Row]:
    """The dense network first, then falling densities; else as they are."""
    return sorted(rows, key=lambda row: -(row.density or 2))


def _cells(row: Row) -> tuple[str, ...]:
    accuracy = f"{100 * row.accuracy:.2f}"
    if row.deviation is not None:
        accuracy += f" ± {100 * row.deviation:.2f}"
    density = _optional(row.density, "g")
    if row.density is None and row.mask_density == 1:
        density = "1"  # The dense network.
    return (
        density,
        row.name,
        accuracy,
        "–" if row.difference is None else f"{100 * row.difference:+.2f}",
        f"{row.num_parameters:,.0f}",
        _optional(row.mask_density, ".4f"),
        _optional(row.model_density, ".4f"),
        _optional(row.epoch_ratio, ".2f"),
    )


def _optional(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
