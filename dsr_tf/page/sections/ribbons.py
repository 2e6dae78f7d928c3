"""From which kernels weights went to which, as ribbons between them."""

from collections.abc import Sequence

import numpy as np

from dsr_tf.page import numbers
from dsr_tf.page.chart import figure
from dsr_tf.page.markup import Markup
from dsr_tf.page.markup import element
from dsr_tf.page.markup import short_name
from dsr_tf.page.moves import ribbons

# Kernels on a side; the others are one. Gaps leave room for their names.
_MOST = 6
_WIDTH, _HEIGHT, _GAP = 420, 260, 14
_LEFT, _RIGHT, _BAR = 140, 280, 8
_TOP = 18


def picture(paths: Sequence[str], change: np.ndarray) -> Markup:
    """A figure of what each kernel gained or lost.

    Args:
        paths: The kernels.
        change: Integers, the weights that each gained, below 0 if it lost.
    """
    names, numbers_of = _main_ones(paths, change)
    flows = ribbons(numbers_of)
    losses = {i: -int(n) for i, n in enumerate(numbers_of) if n < 0}
    gains = {i: int(n) for i, n in enumerate(numbers_of) if n > 0}
    total = max(sum(losses.values()), sum(gains.values()))
    room = _HEIGHT - _TOP - _GAP * max(len(losses), len(gains))
    unit = room / max(1, total)
    left, right = _stack(losses, unit), _stack(gains, unit)
    drawn = [
        element("text", "lost by", x=_LEFT, y=10, text_anchor="end"),
        element("text", "gained by", x=_RIGHT, y=10),
    ]
    used_left, used_right = dict(left), dict(right)
    for i, j, weights in flows:
        thick = weights * unit
        a, b = used_left[i], used_right[j]
        used_left[i], used_right[j] = a + thick, b + thick
        drawn.append(
            _ribbon(
                a,
                b,
                thick,
                f"{names[i]} → {names[j]}: {numbers.count(weights)} weights",
            )
        )
    for side, places, x, anchor in (
        (losses, left, _LEFT, "end"),
        (gains, right, _RIGHT, "start"),
    ):
        for i, weights in side.items():
            drawn += _end(
                names[i], weights, places[i], weights * unit, x, anchor
            )
    return figure(
        "From the start to the end",
        element(
            "svg",
            element("title", "Weights that went from kernel to kernel"),
            *drawn,
            viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
            role="img",
            class_="chart",
        ),
        unit="weights",
        note="What is pruned goes to one heap, from which all grow: a kernel "
        "that gained did so from all that lost, in proportion.",
    )


def _main_ones(
    paths: Sequence[str], change: np.ndarray
) -> tuple[list[str], np.ndarray]:
    """The kernels that gained or lost most, and the others together."""
    names, values = [], []
    for sign in (-1, 1):
        those = [i for i in range(len(paths)) if sign * change[i] > 0]
        those.sort(key=lambda i: -abs(int(change[i])))
        main = those[:_MOST] if len(those) > _MOST + 1 else those
        for i in sorted(main):
            names.append(short_name(paths[i], 15))
            values.append(int(change[i]))
        if len(those) > len(main):
            names.append(f"{len(those) - len(main)} others")
            values.append(int(sum(change[i] for i in those[len(main) :])))
    return names, np.array(values)


def _stack(sizes: dict[int, int], unit: float) -> dict[int, float]:
    """Where each begins, one below the other."""
    places, top = {}, float(_TOP)
    for i, size in sizes.items():
        places[i] = top
        top += size * unit + _GAP
    return places


def _ribbon(a: float, b: float, thick: float, said: str) -> Markup:
    x, y = _LEFT + 4 + _BAR, _RIGHT - 4 - _BAR
    middle = (x + y) / 2
    return element(
        "path",
        element("title", said),
        d=f"M{x} {a:.1f}C{middle:g} {a:.1f} {middle:g} {b:.1f} {y} {b:.1f}"
        f"v{thick:.2f}C{middle:g} {b + thick:.1f} {middle:g} "
        f"{a + thick:.1f} {x} {a + thick:.1f}z",
        class_="ribbon",
    )


def _end(
    name: str, weights: int, top: float, thick: float, x: int, anchor: str
) -> list[Markup]:
    """The bar of a kernel, and its name beside it."""
    is_left = anchor == "end"
    bar = x + 4 if is_left else x - 4 - _BAR
    middle = top + thick / 2
    return [
        element(
            "path",
            d=f"M{bar} {top:.1f}h{_BAR}v{max(1.0, thick):.1f}h-{_BAR}z",
            class_="down" if is_left else "up",
        ),
        element(
            "text",
            f"{name} {numbers.short(weights)}",
            x=x,
            y=f"{middle + 3.5:.1f}",
            text_anchor=anchor,
        ),
    ]
