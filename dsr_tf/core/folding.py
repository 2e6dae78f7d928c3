"""Names in tables that are too narrow for them."""

import re
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.containers import Lines
from rich.text import Text

# Where a name may go on in the next line: between words; where a word alone
# is too long, behind what separates its parts; where one of these alone is,
# behind the next best, and then anywhere.
_PLACES = (
    r"(?<= )",
    r"(?<=[/-])",
    r"(?<=[_.=,])|(?<=\dx)(?=\d)",
    r"(?=.)",
)


class Name(Text):
    """A path or other name, or a sentence that holds such, folded between
    parts and not inside them."""

    def wrap(self, console: Console, width: int, **arguments: Any) -> Lines:
        lines = [
            line
            for given in self.plain.split("\n")
            for line in fold(given, width)
        ]
        folded = Text("\n".join(lines), style=self.style)
        return folded.wrap(console, width, **arguments)


def fold(name: str, width: int) -> list[str]:
    """The lines of at most `width` cells that a name is written in."""
    lines = [""]
    for piece in _pieces(name, width, _PLACES):
        if lines[-1] and cell_len((lines[-1] + piece).rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip() for line in lines]


def longest_part(name: str) -> str:
    """The longest part of a name, which needs a line that wide."""
    return max(re.split("(?<=[ /-])", name), key=cell_len).rstrip()


def _pieces(name: str, width: int, places: Sequence[str]) -> Iterator[str]:
    """Parts of a name, cut at the next best places if they are too long."""
    first, *others = places
    for piece in re.split(first, name):
        if others and cell_len(piece.rstrip()) > width:
            yield from _pieces(piece, width, others)
        else:
            yield piece
