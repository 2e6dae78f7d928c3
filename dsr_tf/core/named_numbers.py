"""A table of names and their numbers, wherever it is printed."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.console import ConsoleOptions
from rich.console import RenderResult
from rich.table import Column
from rich.table import Table

from dsr_tf.core.folding import Name

# With fewer columns nobody can read what is folded.
_LEAST = 7
# Between two columns.
_GAP = 2


class NamedNumbers(Table):
    """A table with a line for each name, such as that of a kernel.

    Where there is little room names are folded between their parts, and
    numbers stay whole; where that leaves none for names, all is folded. It
    takes no room at its edges: what there is of a ResNet-50 has just enough
    in 80 columns.

    Args:
        title: Text above it.
        names: What stands above the names.
        numbers: What stands above each column of numbers.
        caption: Text below it.
        num_folded: How many of these columns, from the left, are folded as
            names are.
    """

    def __init__(
        self,
        title: str,
        names: str,
        numbers: Sequence[str],
        caption: str = "",
        num_folded: int = 0,
    ) -> None:
        super().__init__(
            title=Name(title, style="table.title"),
            # An empty line, as there is below other tables.
            caption=Name(f"\n{caption}" if caption else " ", "table.caption"),
            caption_justify="left",
            box=box.SIMPLE_HEAD,
            padding=(0, _GAP - 1, 0, 0),
            pad_edge=False,
            show_edge=False,
        )
        self._num_folded = 1 + num_folded
        self.add_column(names, overflow="fold")
        for column in numbers:
            self.add_column(column, justify="right", overflow="fold")

    def add_line(self, name: str, *numbers: str) -> None:
        """Add a name and its numbers, as text."""
        folded = [Name(text) for text in numbers[: self._num_folded - 1]]
        self.add_row(Name(name), *folded, *numbers[len(folded) :])

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        numbers = self.columns[self._num_folded :]
        taken = sum(_width(column) for column in numbers)
        taken += _GAP * (len(self.columns) - 1)
        has_room = options.max_width - taken >= _LEAST * self._num_folded
        for column in numbers:
            column.no_wrap = has_room
        return super().__rich_console__(console, options)


def _width(column: Column) -> int:
    """What the longest of its lines takes."""
    cells: list[Any] = [column.header, *column.cells]
    return max(
        cell_len(line) for cell in cells for line in str(cell).split("\n")
    )
