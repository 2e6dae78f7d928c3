"""Tables and large numbers as text."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

# What a dash in a column of multiply-adds stands for.
NO_MACS = "–: MACs that are not known"


def printed(table: Table) -> str:
    """A table as text of 100 columns at most."""
    # The same for a terminal, a file and a notebook, where rich would show
    # the table once more by itself.
    console = Console(width=100, force_terminal=False, force_jupyter=False)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def short(number: int | None) -> str:
    """A count in thousands, millions or more; a dash for None."""
    if number is None:
        return "–"
    for unit, name in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= unit:
            return f"{number / unit:,.1f} {name}"
    return str(number)


def total(numbers: Iterable[int | None]) -> int | None:
    """The sum; None if one of them is not known."""
    known = list(numbers)
    if None in known:
        return None
    return sum(number or 0 for number in known)


def size(num_bytes: int) -> str:
    """Bytes, in the largest unit that is not above them."""
    if num_bytes < 1000:
        return f"{num_bytes} bytes"
    return f"{short(num_bytes)}B"


def compared(size: float, other: float) -> str:
    """How large something is, such as "7.9 times smaller than" another."""
    times = f"{max(size / other, other / size):,.1f}"
    if times == "1.0":
        return "as large as"
    return f"{times} times {'smaller' if size < other else 'larger'} than"
