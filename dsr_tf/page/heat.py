"""Heat maps: a strip for each kernel, from the start of a run to its end."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from dsr_tf.page.markup import Markup
from dsr_tf.page.markup import element
from dsr_tf.page.markup import end_of

# Shades, and cells, that can be told apart.
_LEVELS = 16
NUM_CELLS = 150
# More rows than this are named, and not drawn.
MAX_ROWS = 300


@dataclasses.dataclass(frozen=True)
class Strip:
    """A kernel in a heat map.

    Attributes:
        path: Its name.
        values: Numbers from -1 to 1: how strong a cell is, and in which of
            two colours.
        said: What stands at its end.
    """

    path: str
    values: np.ndarray
    said: str


def strips(
    title: str,
    rows: Sequence[Strip],
    steps: np.ndarray,
    legend: Sequence[tuple[float, str]],
    heading: str,
) -> Markup:
    """A figure of strips, one below the other.

    Args:
        title: What stands above it.
        rows: List of `Strip`.
        steps: Integers, the updates that the cells end with.
        legend: Pairs of a value and what it stands for.
        heading: What `said` of the rows is.
    """
    shown = rows[:MAX_ROWS]
    axis = element(
        "span",
        element("span", f"update {steps[0]:,}"),
        element("span", f"{steps[-1]:,}"),
        class_="ends",
    )
    lines = [
        [
            end_of(r.path, class_="name"),
            _strip(r),
            element("span", r.said, class_="value"),
        ]
        for r in shown
    ]
    keys = [
        element("span", _cells(np.array([value]), "key"), said)
        for value, said in legend
    ]
    rest = len(rows) - len(shown)
    return element(
        "figure",
        element(
            "figcaption",
            element("b", title),
            element("span", heading, class_="unit"),
        ),
        element(
            "div",
            *[element("div", *line, class_="strip") for line in lines],
            element("div", axis, class_="strip"),
            class_="heat",
        ),
        element("div", *keys, class_="legend"),
        element("p", f"{rest:,} more kernels are not drawn.", class_="note")
        if rest
        else "",
        class_="wide",
    )


def cells(num: int) -> np.ndarray:
    """Where each of at most `NUM_CELLS` cells of `num` values begins."""
    every = max(1, -(-num // NUM_CELLS))
    return np.arange(0, num, every)


def sums(values: np.ndarray) -> np.ndarray:
    """What all reallocations of each cell did together, along axis 0."""
    return np.add.reduceat(values, cells(len(values)))


def lasts(values: np.ndarray) -> np.ndarray:
    """What holds at the end of each cell, along axis 0."""
    ends = [*cells(len(values))[1:] - 1, len(values) - 1]
    return values[ends]


def _strip(row: Strip) -> Markup:
    return _cells(row.values, "cells")


def _cells(values: np.ndarray, class_: str) -> Markup:
    """Cells side by side; those of one shade are one path."""
    levels = np.rint(np.clip(values, -1, 1) * _LEVELS).astype(int)
    paths = []
    for level in np.unique(levels[levels != 0]):
        # Neighbours of one shade are one rectangle.
        is_level = np.concatenate([[0], levels == level, [0]])
        edges = np.flatnonzero(np.diff(is_level))
        d = "".join(
            f"M{start} 0h{end - start}v1h{start - end}z"
            for start, end in edges.reshape(-1, 2)
        )
        paths.append(
            element(
                "path",
                d=d,
                class_="up" if level > 0 else "down",
                fill_opacity=f"{abs(level) / _LEVELS:.2f}",
            )
        )
    return element(
        "svg",
        *paths,
        viewBox=f"0 0 {len(values)} 1",
        preserveAspectRatio="none",
        class_=class_,
        aria_hidden="true",
    )
