"""Reading the tables of a run: whatever is in them, or a sentence why not."""

import csv
import math
import os
from collections.abc import Mapping

# Far more than a run of thousands of epochs writes.
_MAX_BYTES = 2**28


class Columns:
    """A table of a run, a list of texts for each column.

    Args:
        texts: Dict from the name of a column to its texts, all of a length.
    """

    def __init__(self, texts: Mapping[str, list[str]]) -> None:
        self._texts = texts

    def __contains__(self, name: str) -> bool:
        return name in self._texts

    def __len__(self) -> int:
        return len(next(iter(self._texts.values()), []))

    def wholes(self, name: str, maximum: int = 2**63 - 1) -> list[int]:
        """A column of whole numbers from 0 on.

        Raises:
            ValueError: if it is not there, or holds anything else.
        """
        return [
            _whole(name, i, text, maximum)
            for i, text in enumerate(self._column(name), 1)
        ]

    def floats(self, name: str) -> list[float]:
        """A column of numbers; NaN where it is empty.

        Raises:
            ValueError: if it is not there, or holds anything else.
        """
        found = []
        for i, text in enumerate(self._column(name), 1):
            try:
                found.append(float(text) if text else math.nan)
            except ValueError:
                raise _strange(name, i, text) from None
        return found

    def _column(self, name: str) -> list[str]:
        if name not in self._texts:
            raise ValueError(f"it is damaged: it has no column {name[:80]}")
        return self._texts[name]


def read(path: str | os.PathLike) -> Columns:
    """A table as a run has written it.

    Raises:
        OSError: if it cannot be opened.
        ValueError: if it is no table.
    """
    if os.path.isfile(path) and os.path.getsize(path) > _MAX_BYTES:
        raise ValueError(f"it is larger than {_MAX_BYTES:,} bytes")
    with open(path, newline="", encoding="utf-8") as file:
        try:
            header, *rows = csv.reader(file, strict=True)
        except csv.Error as error:
            raise ValueError(f"it is damaged: {error}") from error
    for i, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise ValueError(
                f"it is damaged: row {i} has {len(row)} columns, and the "
                f"header {len(header)}"
            )
    return Columns(dict(zip(header, map(list, zip(*rows)))))


def _whole(column: str, row: int, text: str, maximum: int) -> int:
    # (More digits are no number of anything, and take long to read.)
    is_whole = text.isascii() and text.isdigit() and len(text) < 20
    if not is_whole or int(text) > maximum:
        raise _strange(column, row, text)
    return int(text)


def _strange(column: str, row: int, text: str) -> ValueError:
    return ValueError(
        f"it is damaged: in row {row}, {column[:80]} is {text[:40]!r}"
    )
