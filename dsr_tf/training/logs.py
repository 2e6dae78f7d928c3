"""The tables that a run writes as it goes: metrics and reallocations."""

import csv
import io
import os
import time
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from typing import Any

import keras
from absl import logging

from dsr_tf.command_line import UsageError
from dsr_tf.reallocation.record import Record
from dsr_tf.training import files


class Table:
    """A CSV file that grows by rows.

    Args:
        path: The file, which is made with the first row. None keeps the rows
            in memory only.
        text: What it starts with: text of an earlier `Table`, or "".
    """

    def __init__(self, path: str | None, text: str = "") -> None:
        self.path, self._texts = path, [text] if text else []
        self.rows = list(csv.DictReader(io.StringIO(text, newline="")))

    @property
    def text(self) -> str:
        """All of it, as it is in the file."""
        return "".join(self._texts)

    def write(self) -> None:
        """Write what it starts with, in place of what is there.

        Raises:
            OSError: if it cannot be written; the file is as it was then.
        """
        if self.path is None:
            return
        if self._texts:
            with files.written_whole(self.path) as file:
                file.write(self.text.encode())
        elif os.path.exists(self.path):
            os.remove(self.path)

    def append(self, row: Mapping[str, Any]) -> None:
        """Write a row, given as a dict with always the same keys."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, row.keys(), lineterminator="\n")
        if not self._texts:
            writer.writeheader()
        writer.writerow(row)
        self._texts.append(text.getvalue())
        self.rows.append({name: str(value) for name, value in row.items()})
        if self.path is None:
            return
        if os.path.exists(self.path):
            files.append(self.path, text.getvalue().encode())
        else:
            self.write()


def read_table(path: str | os.PathLike) -> str:
    """The whole lines of a table that a killed run has left.

    Raises:
        UsageError: if it cannot be read.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return "".join(line for line in file if line.endswith("\n"))
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error


def rows_below(
    path: str | os.PathLike,
    text: str,
    key: str,
    limit: int,
    numbers: Collection[str] = (),
    is_whole: bool = True,
) -> str:
    """The rows of a table that a resumed run will not write again.

    Args:
        path: Where the table comes from, for messages.
        text: The table.
        key: Name of the column of integers by which rows are sorted.
        limit: Rows whose key is at least this are left out.
        numbers: Columns of numbers in a table that has a row for every key
            from 0 on.
        is_whole: Whether all of these rows must be there. Runs of earlier
            versions lost the row of an epoch if they were stopped at its
            last step.

    Returns:
        Text of a table.

    Raises:
        UsageError: if the table is damaged, or lacks rows.
    """
    try:
        lines = list(io.StringIO(text, newline=""))
        header, *rows = csv.reader(lines, strict=True) if lines else [[key]]
        if any(len(row) != len(header) for row in rows):
            raise ValueError("its rows have not the columns of its header")
        keys = [int(row[header.index(key)]) for row in rows]
        if keys != sorted(set(keys)):
            raise ValueError(f"the column {key} does not ascend")
        num_kept = sum(number < limit for number in keys)
        lacks = sorted(set(range(limit if numbers else 0)) - set(keys))
        if lacks and (is_whole or not num_kept):
            raise ValueError(f"{key} {lacks[0]} has none")
        if lacks:
            logging.warning("%s has no row of %s %s", path, key, lacks)
        for column in [header.index(name) for name in numbers if rows]:
            [float(row[column]) for row in rows]
    except (ValueError, csv.Error) as error:
        raise _damaged(path, error) from error
    return "".join(lines[: 1 + num_kept]) if num_kept else ""


def _damaged(path: str | os.PathLike, error: Exception) -> UsageError:
    return UsageError(
        f"flag --resume: {path} lacks rows of the run ({error}); put it back "
        "as it was, or give another --output_dir to start anew"
    )


def reallocation_row(record: Record) -> dict[str, Any]:
    """A `Record` as a row: totals, then weights by kernel."""
    row = {
        "step": record.step,
        "threshold": "" if record.threshold is None else record.threshold,
        "num_pruned": record.num_pruned,
        "num_grown": record.num_grown,
        "num_active": record.num_active,
    }
    for name in ("pruned", "grown", "active"):
        for path, count in getattr(record, name).items():
            row[f"{name}:{path}"] = count
    return row


class MetricsLog(keras.callbacks.Callback):
    """Writes a row for each epoch; validation data is the test set.

    Args:
        table: The `Table` to write to.
        learning_rate: Function from an epoch to the learning rate that it
            begins with, for its column.
    """

    def __init__(
        self, table: Table, learning_rate: Callable[[int], float]
    ) -> None:
        super().__init__()
        self._table, self._learning_rate = table, learning_rate
        self._start = 0.0
        self._seconds: float | None = None

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._start, self._seconds = time.perf_counter(), None

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._seconds = time.perf_counter() - self._start

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        logs = logs or {}
        row = {
            "epoch": epoch,
            "loss": logs["loss"],
            "accuracy": logs["accuracy"],
            "test_loss": logs["val_loss"],
            "test_accuracy": logs["val_accuracy"],
            "learning_rate": self._learning_rate(epoch),
            "seconds": self._seconds,
        }
        if "top5_accuracy" in logs:
            row["top5_accuracy"] = logs["top5_accuracy"]
            row["test_top5_accuracy"] = logs["val_top5_accuracy"]
        for name in ("mask_density", "num_reallocated", "threshold"):
            if name in logs:
                row[name] = logs[name]
        self._table.append(row)
