"""Where the budget lies: the density of every kernel over time."""

import math

import numpy as np

from dsr_tf.page import heat
from dsr_tf.page import numbers
from dsr_tf.page.chart import Axis
from dsr_tf.page.chart import Frame
from dsr_tf.page.chart import Line
from dsr_tf.page.chart import curve
from dsr_tf.page.chart import lines
from dsr_tf.page.markup import Markup
from dsr_tf.page.markup import element
from dsr_tf.page.markup import end_of
from dsr_tf.page.markup import short_name
from dsr_tf.page.moves import Moves
from dsr_tf.page.run import Run
from dsr_tf.page.scale import Scale
from dsr_tf.page.sections.section import section

UPDATES = Axis("updates", numbers.short, is_whole=True)
# More lines than this are not told apart in one picture.
_MAX_LINES = 8
_AXIS = Axis("share of its weights", numbers.round_percent, is_log=True)


def of(run: Run) -> Markup:
    moves = run.moves
    if moves is None:
        return Markup()
    return section(
        "Density of every kernel",
        "Share of the weights of a kernel that are active. The kernels are "
        "in the order of the network.",
        _heat(moves),
        _curves(moves),
    )


def _heat(moves: Moves) -> Markup:
    densities = moves.densities
    scale = _scale(densities)
    strengths = 0.12 + 0.88 * np.vectorize(scale.place, otypes=[float])(
        heat.lasts(densities)
    )
    rows = [
        heat.Strip(path, strength, numbers.percent(density))
        for path, strength, density in zip(
            moves.paths, strengths.T, densities[-1]
        )
    ]
    legend = [
        (0.12 + 0.88 * scale.place(value), numbers.percent(value))
        for value in _legend(scale)
    ]
    return heat.strips(
        "Densities over time",
        rows,
        _ends(moves),
        legend,
        "the numbers are those at the end",
    )


def _curves(moves: Moves) -> Markup:
    """A line a kernel: in one picture, or a small one each."""
    all_points = [
        list(zip(moves.steps.tolist(), densities.tolist()))
        for densities in moves.densities.T
    ]
    named = list(zip(moves.paths, all_points))[: heat.MAX_ROWS]
    if len(named) <= _MAX_LINES:
        return lines(
            "Densities as lines",
            [Line(short_name(path), points) for path, points in named],
            UPDATES,
            _AXIS,
        )
    scale = _scale(moves.densities)
    frame = Frame(
        Scale(
            float(moves.steps[0]),
            max(float(moves.steps[-1]), moves.steps[0] + 1.0),
        ),
        scale,
        160,
        70,
        left=1,
        right=1,
        top=2,
        bottom=2,
    )
    starts = moves.at_start / moves.sizes
    small = [
        element(
            "figure",
            element(
                "svg",
                element("title", path),
                *_levels(frame),
                curve(frame, points, class_="line c0"),
                viewBox="0 0 160 70",
                role="img",
                class_="chart",
            ),
            element(
                "figcaption",
                element("b", end_of(path, class_="name")),
                f"{numbers.percent(start)} → {numbers.percent(end)}",
            ),
        )
        for (path, points), start, end in zip(
            named, starts, moves.densities[-1]
        )
    ]
    marked = ", ".join(numbers.percent(value) for value in scale.ticks(4))
    return element(
        "div",
        element(
            "p",
            f"The same as lines, all on one logarithmic scale: grey lines are "
            f"{marked}, from below.",
            class_="intro",
        ),
        element("div", *small, class_="small"),
    )


def _levels(frame: Frame) -> list[Markup]:
    return [
        element("path", d=f"M0 {frame.up(v):.1f}H{frame.width}", class_="grid")
        for v in frame.y.ticks(4)
    ]


def _scale(densities: np.ndarray) -> Scale:
    return Scale.over(densities.ravel().tolist(), is_log=True)


def _legend(scale: Scale) -> list[float]:
    """Values from the least to the most, by equal factors."""
    factor = math.log(scale.high / scale.low)
    return [scale.low * math.exp(factor * i / 4) for i in range(5)]


def _ends(moves: Moves) -> np.ndarray:
    return heat.lasts(moves.steps)
