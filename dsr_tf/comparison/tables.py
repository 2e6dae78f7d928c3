"""A comparison as text: for the terminal, as CSV and as Markdown."""

import csv
import dataclasses
import os
from collections.abc import Sequence

from rich import box
from rich.table import Table

from dsr_tf.comparison.aggregate import Row
from dsr_tf.comparison.columns import TABLES
from dsr_tf.core.folding import Name


def rich_table(
    rows: Sequence[Row], title: str, table: str = "results"
) -> Table:
    """The rows as a `rich` table, a section for each density.

    Args:
        rows: List of `Row`.
        title: Text above it.
        table: A name in `dsr_tf.comparison.columns.TABLES`.
    """
    layout = TABLES[table]
    counts = sorted({row.num_seeds for row in rows})
    shown = Table(
        title=title,
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        caption=layout.caption.format(seeds=" or ".join(map(str, counts))),
        caption_justify="left",
    )
    columns = [c for c in layout.columns_for(rows) if c.in_terminal]
    for column in columns:
        # Where a terminal is narrow names are folded, numbers never cut.
        shown.add_column(
            column.title,
            justify="left" if column.is_text else "right",
            no_wrap=not column.is_text,
            overflow="fold",
        )
    last = None
    for row in _by_density(rows):
        if last is not None and row.density != last.density:
            shown.add_section()
        cells = ((column, column.cell(row)) for column in columns)
        shown.add_row(
            *(Name(text) if column.is_text else text for column, text in cells)
        )
        last = row
    return shown


def markdown(rows: Sequence[Row], table: str = "results") -> str:
    """The rows as a Markdown table, a string; arguments as `rich_table`."""
    columns = TABLES[table].columns_for(rows)
    lines = [
        "| " + " | ".join(column.title for column in columns) + " |",
        "|" + "---|" * len(columns),
    ]
    for row in _by_density(rows):
        cells = (column.cell(row) for column in columns)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def write_csv(rows: Sequence[Row], path: str | os.PathLike) -> None:
    """The rows as a CSV file, with all that is known, numbers in full."""
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
