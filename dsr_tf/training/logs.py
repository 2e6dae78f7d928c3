"""The tables that a run writes as it goes: metrics and reallocations."""

import csv
import os
import time

import keras


class Table:
    """A CSV file that grows by rows and can be cut back.

    Args:
        path: The file; its header is written with the first row. None keeps
            the rows in memory only.
        key: Name of the column of integers that rows are in the order of.
        keep_below: Rows whose key is at least this are deleted; None keeps
            all. A resumed run writes those again.
    """

    def __init__(self, path, key, keep_below=None):
        self.path, self.rows, self._columns = path, [], None
        if path is None or not os.path.exists(path):
            return
        with open(path, newline="") as file:
            reader = csv.DictReader(file)
            rows = [row for row in reader if None not in row.values()]
            self._columns = reader.fieldnames
        self.rows = [
            row
            for row in rows
            if keep_below is None or int(row[key]) < keep_below
        ]
        scratch = f"{path}.tmp"
        with open(scratch, "w", newline="") as file:
            writer = csv.DictWriter(file, self._columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
        os.replace(scratch, path)

    def append(self, row):
        """Write a row, given as a dict with always the same keys."""
        if self.path is not None:
            self._write(row)
        self.rows.append({name: str(value) for name, value in row.items()})

    def _write(self, row):
        with open(self.path, "a", newline="") as file:
            writer = csv.DictWriter(file, row.keys(), lineterminator="\n")
            if self._columns is None:
                writer.writeheader()
                self._columns = list(row)
            writer.writerow(row)


def reallocation_row(record):
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

    def __init__(self, table, learning_rate):
        super().__init__()
        self._table, self._learning_rate = table, learning_rate
        self._start = self._seconds = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._start, self._seconds = time.perf_counter(), None

    def on_test_begin(self, logs=None):
        self._seconds = time.perf_counter() - self._start

    def on_epoch_end(self, epoch, logs=None):
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
