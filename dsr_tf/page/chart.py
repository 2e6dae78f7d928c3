"""Charts as SVG: lines over an axis, layers of an area, and points."""

import dataclasses
import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence

from dsr_tf.page import numbers
from dsr_tf.page.markup import Markup
from dsr_tf.page.markup import element
from dsr_tf.page.scale import Scale

# Colours that are told apart by colour-blind people, see `style.py`; what
# comes after them has another dash, or another shape.
NUM_COLORS = 6
_DASHES = (None, "5 3", "1.5 2.5")
_SHAPES = ("circle", "square", "diamond", "up", "down")
_ROOM = (0.85, 1.15)
# A line has no more points than can be seen.
_MAX_POINTS = 400


@dataclasses.dataclass(frozen=True)
class Axis:
    """What stands along an axis.

    Attributes:
        label: What it is, with its unit.
        format: Function from a value to its text.
        is_log: Whether it is logarithmic.
        low, high: Ends that are known.
        is_whole: Whether there is nothing between whole numbers.
    """

    label: str
    format: Callable[[float], str] = numbers.short
    is_log: bool = False
    low: float | None = None
    high: float | None = None
    is_whole: bool = False

    @property
    def said(self) -> str:
        """What it is, and how it is divided."""
        return f"{self.label}, logarithmic" if self.is_log else self.label

    def scale(self, values: Iterable[float]) -> Scale:
        return Scale.over(values, self.is_log, self.low, self.high)

    def ticks(self, scale: Scale) -> list[float]:
        """Values of a scale that have labels."""
        return [
            value
            for value in scale.ticks()
            if not self.is_whole or value.is_integer()
        ]

    def exact(self, values: Iterable[float]) -> Scale:
        """One that ends where the values end, as time does."""
        known = list(values) or [0.0]
        return Scale.over(known, low=min(known), high=max(known))


@dataclasses.dataclass(frozen=True)
class Line:
    """One line, or the points of one kind.

    Attributes:
        name: What it is.
        points: Pairs of x and y; where y is no finite number it is broken.
        titles: What is said of each point where a pointer rests on it.
    """

    name: str
    points: Sequence[tuple[float, float]]
    titles: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Frame:
    """A picture with axes, in units that are pixels on a phone."""

    x: Scale
    y: Scale
    width: int = 420
    height: int = 240
    left: int = 48
    right: int = 12
    top: int = 10
    bottom: int = 38

    def across(self, value: float) -> float:
        inner = self.width - self.left - self.right
        return self.left + inner * self.x.place(value)

    def up(self, value: float) -> float:
        inner = self.height - self.top - self.bottom
        return self.height - self.bottom - inner * self.y.place(value)

    def draw(
        self, title: str, x_axis: Axis, y_axis: Axis, content: Iterable[Markup]
    ) -> Markup:
        return element(
            "svg",
            element("title", title),
            *self._grid(x_axis, y_axis),
            *content,
            viewBox=f"0 0 {self.width} {self.height}",
            role="img",
            class_="chart",
        )

    def _grid(self, x_axis: Axis, y_axis: Axis) -> Iterable[Markup]:
        right, low = self.width - self.right, self.height - self.bottom
        for value in y_axis.ticks(self.y):
            y = _number(self.up(value))
            yield _path(f"M{self.left} {y}H{right}", "grid")
            yield _label(
                y_axis.format(value),
                self.left - 5,
                f"{float(y) + 3.5:g}",
                "end",
            )
        for value in x_axis.ticks(self.x):
            x = _number(self.across(value))
            yield _path(f"M{x} {low}v4", "tick")
            yield _label(x_axis.format(value), x, low + 16, "middle")
        yield _path(f"M{self.left} {low}H{right}", "tick")
        middle = (self.left + right) / 2
        yield _label(x_axis.said, f"{middle:g}", self.height - 5, "middle")


def lines(
    title: str, lines: Sequence[Line], x_axis: Axis, y_axis: Axis
) -> Markup:
    """A figure of lines, with a legend where there are several.

    Args:
        title: What stands above it.
        lines: List of `Line`.
        x_axis, y_axis: Their axes.
    """
    frame = Frame(
        x_axis.exact(x for line in lines for x, _ in line.points),
        y_axis.scale(_finite(y for line in lines for _, y in line.points)),
    )
    drawn = [
        curve(
            frame,
            line.points,
            class_=f"line c{i % NUM_COLORS}",
            stroke_dasharray=_DASHES[i // NUM_COLORS % len(_DASHES)],
        )
        for i, line in enumerate(lines)
    ]
    keys = [(_sample(i), line.name) for i, line in enumerate(lines)]
    picture = frame.draw(title, x_axis, y_axis, drawn)
    return figure(title, picture, keys if len(lines) > 1 else (), y_axis.said)


def curve(
    frame: Frame, points: Sequence[tuple[float, float]], **attributes: object
) -> Markup:
    """A line through points, with gaps, and dots for single ones."""
    parts: list[str] = []
    is_open, alone = False, True
    for x, y in _thinned(points):
        if not math.isfinite(y) or (frame.y.is_log and y <= 0):
            parts += ["h0"] if is_open and alone else []
            is_open = False
            continue
        place = f"{_number(frame.across(x))} {_number(frame.up(y))}"
        parts.append(f"{'L' if is_open else 'M'}{place}")
        alone, is_open = not is_open, True
    parts += ["h0"] if is_open and alone else []
    return element("path", d="".join(parts), **attributes)


def areas(
    title: str,
    xs: Sequence[float],
    layers: Sequence[tuple[str, Sequence[float]]],
    x_axis: Axis,
    y_axis: Axis,
) -> Markup:
    """A figure of layers that lie one on the other, the first below.

    They are shades of one colour, from strong to faint.

    Args:
        title: What stands above it.
        xs: Where they are known.
        layers: Pairs of a name and the thickness at each x.
        x_axis, y_axis: Their axes.
    """
    chosen = [round(i) for i, _ in _thinned([(i, 0) for i in range(len(xs))])]
    frame = Frame(x_axis.exact(xs), y_axis.scale([0.0, 1.0]))
    bottoms = [0.0] * len(chosen)
    drawn, keys = [], []
    for number, (name, sizes) in enumerate(layers):
        tops = [low + sizes[i] for low, i in zip(bottoms, chosen)]
        edge = [
            f"{_number(frame.across(xs[i]))} {_number(frame.up(y))}"
            for way in (1, -1)
            for i, y in list(zip(chosen, (tops, bottoms)[way < 0]))[::way]
        ]
        shade = f"{1 - 0.88 * number / max(1, len(layers) - 1):.2f}"
        path = element(
            "path",
            element("title", name),
            d=f"M{'L'.join(edge)}Z",
            class_="area",
            fill_opacity=shade,
        )
        drawn.append(path)
        keys.append((_swatch(shade), name))
        bottoms = tops
    picture = frame.draw(title, x_axis, y_axis, drawn)
    return figure(title, picture, keys, y_axis.said)


def points(
    title: str, kinds: Sequence[Line], x_axis: Axis, y_axis: Axis
) -> Markup:
    """A figure of points, each kind in a colour and a shape of its own."""
    frame = Frame(
        # With room for the shapes at both ends.
        x_axis.scale(x * f for k in kinds for x, _ in k.points for f in _ROOM),
        y_axis.scale(y for kind in kinds for _, y in kind.points),
    )
    drawn = [
        _marker(i, frame.across(x), frame.up(y), said)
        for i, kind in enumerate(kinds)
        for (x, y), said in zip(kind.points, kind.titles)
    ]
    picture = frame.draw(title, x_axis, y_axis, drawn)
    keys = [
        (_key(_marker(i, 8, 6, "")), kind.name) for i, kind in enumerate(kinds)
    ]
    return figure(title, picture, keys, y_axis.said)


def figure(
    title: str,
    picture: Markup,
    keys: Iterable[tuple[Markup, str]] = (),
    unit: str = "",
    note: str = "",
) -> Markup:
    """A picture below its title, and above the meaning of its signs."""
    named = [element("span", sign, name) for sign, name in keys]
    return element(
        "figure",
        element(
            "figcaption",
            element("b", title),
            element("span", unit, class_="unit") if unit else "",
        ),
        picture,
        element("div", *named, class_="legend") if named else "",
        element("p", note, class_="note") if note else "",
    )


def _marker(number: int, x: float, y: float, said: str) -> Markup:
    shape = _SHAPES[number % len(_SHAPES)]
    d = {
        "circle": "m-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0",
        "square": "m-4 -4h8v8h-8z",
        "diamond": "m0 -5.5l5.5 5.5l-5.5 5.5l-5.5 -5.5z",
        "up": "m0 -5l5 9h-10z",
        "down": "m0 5l5 -9h-10z",
    }[shape]
    return element(
        "path",
        element("title", said) if said else "",
        d=f"M{_number(x)} {_number(y)}{d}",
        class_=f"point c{number % NUM_COLORS}",
    )


def _sample(number: int) -> Markup:
    dash = _DASHES[number // NUM_COLORS % len(_DASHES)]
    line = element(
        "path",
        d="M1 6H15",
        class_=f"line c{number % NUM_COLORS}",
        stroke_dasharray=dash,
    )
    return _key(line)


def _swatch(opacity: str) -> Markup:
    return _key(
        element(
            "path", d="M1 1h14v10h-14z", class_="area", fill_opacity=opacity
        )
    )


def _key(sign: Markup) -> Markup:
    return element(
        "svg", sign, viewBox="0 0 16 12", class_="key", aria_hidden="true"
    )


def _path(d: str, class_: str) -> Markup:
    return element("path", d=d, class_=class_)


def _label(said: str, x: object, y: object, anchor: str) -> Markup:
    return element("text", said, x=x, y=y, text_anchor=anchor)


def _finite(values: Iterable[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def _thinned(
    points: Sequence[tuple[float, float]],
) -> Sequence[tuple[float, float]]:
    """So many of the points as can be seen, the last one always."""
    every = -(-len(points) // _MAX_POINTS)
    if every <= 1:
        return points
    return list(points[::-1][::every])[::-1]


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
