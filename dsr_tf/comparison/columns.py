"""The tables that a comparison can print: the columns of each.

A table of its own is an entry of `TABLES`.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from dsr_tf.comparison.aggregate import Row

NOTHING = "–"


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        title: What stands above it.
        cell: Function from a `Row` to the text there.
        is_text: Whether it holds words, not numbers.
        in_terminal: Whether a terminal shows it, which has no room for all.
        tells_apart: Whether it is there only where a method has several
            rows.
    """

    title: str
    cell: Callable[[Row], str]
    is_text: bool = False
    in_terminal: bool = True
    tells_apart: bool = False


@dataclasses.dataclass(frozen=True)
class Layout:
    """The columns of a table, and what they mean.

    Attributes:
        columns: Sequence of `Column`.
        caption: What is below it on a terminal; `{seeds}` is their number.
    """

    columns: Sequence[Column]
    caption: str

    def columns_for(self, rows: Sequence[Row]) -> list[Column]:
        """The columns of a table of these rows."""
        repeats = len({row.name for row in rows}) < len(rows)
        return [c for c in self.columns if repeats or not c.tells_apart]


def _number(name: str, form: str) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        value: Any = getattr(row, name)
        return NOTHING if value is None else format(value, form)

    return cell


def _words(name: str) -> Callable[[Row], str]:
    return lambda row: getattr(row, name) or NOTHING


def _density(row: Row) -> str:
    if row.density is None and row.mask_density == 1:
        return "1"  # The dense network.
    return _number("density", "g")(row)


def _accuracy(row: Row) -> str:
    accuracy = f"{100 * row.accuracy:.2f}"
    if row.deviation is not None:
        accuracy += f" ± {100 * row.deviation:.2f}"
    return accuracy


def _difference(row: Row) -> str:
    if row.difference is None:
        return NOTHING
    return f"{100 * row.difference:+.2f}"


def _strict(row: Row) -> str:
    return {True: "yes", False: "no", None: NOTHING}[row.is_strict]


def _granularity(row: Row) -> str:
    """In the words of the paper."""
    return _words("emptied")(row).replace("element", "non-structured")


def _automatic(row: Row) -> str:
    # Of what has lost nothing there are no shares.
    return _words("is_automatic")(row) if row.emptied else NOTHING


_DENSITY = Column("density", _density, is_text=True)
_METHOD = Column("method", _words("name"), is_text=True)
_ACCURACY = Column("accuracy %", _accuracy)
_PARAMETERS = Column("parameters", _number("num_parameters", ",.0f"))
_MACS = Column("MACs", _number("num_macs", ",.0f"), in_terminal=False)
_ACTIVE_MACS = Column(
    "active MACs", _number("num_active_macs", ",.0f"), in_terminal=False
)
_TRAINING_MACS = Column(
    "training MACs", _number("training_macs_ratio", ".4f"), in_terminal=False
)

TABLES = {
    "results": Layout(
        (
            _DENSITY,
            _METHOD,
            _ACCURACY,
            Column("to dense", _difference),
            _PARAMETERS,
            Column("kernels", _number("mask_density", ".4f")),
            Column("all", _number("model_density", ".4f")),
            Column("time", _number("epoch_ratio", ".2f")),
            _MACS,
            _ACTIVE_MACS,
            _TRAINING_MACS,
        ),
        "Test accuracy after the last epoch, mean over seeds ({seeds}), with "
        "the standard deviation of three or more, and its difference to "
        "dense; active parameters, their share of the masked kernels and of "
        "all; time of an epoch but the first, dense = 1",
    ),
    "6": Layout(
        (
            dataclasses.replace(_DENSITY, tells_apart=True),
            _METHOD,
            Column("strict", _strict, is_text=True),
            Column("granularity", _granularity, is_text=True),
            Column("layers", _automatic, is_text=True),
            _ACCURACY,
            _PARAMETERS,
            Column("largest", _number("largest", ","), in_terminal=False),
            _MACS,
            _ACTIVE_MACS,
            _TRAINING_MACS,
            Column("bytes", _number("num_bytes", ",.0f"), in_terminal=False),
            Column("time", _number("training_ratio", ".2f")),
        ),
        "As in Table 6 of the paper, found in the runs (number of seeds: "
        "{seeds}): whether the largest number of active parameters at any "
        "step was never above that at the end (strict budget); what masks or "
        "narrower layers have emptied; whether shares of layers changed "
        "(automatic layer sparsity); time of training with the runs before "
        "it, dense = 1",
    ),
}
