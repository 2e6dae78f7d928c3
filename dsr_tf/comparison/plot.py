"""A comparison as pictures: test accuracy over parameters, and over MACs."""

import collections
import math
import os
from collections.abc import Sequence
from typing import Any

from dsr_tf.comparison.aggregate import Row

_MARKERS = "osD^v<>Xp*P"
# What accuracy is drawn over: fields of `Row`, and what stands there.
_OVER = {
    "num_parameters": "active parameters",
    "num_active_macs": "multiply-adds by active weights, for an example",
}
# Those of matplotlib without its grey, which is that of the dense network. One
# less than markers: together they go round after 110 methods.
_COLORS = [f"C{i}" for i in range(10) if i != 7] + ["navy"]
_TICKS = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 97, 98, 99, 99.5, 99.8)


def write_plot(
    rows: Sequence[Row],
    path: str | os.PathLike,
    title: str,
    over: str = "num_parameters",
) -> None:
    """Draw the rows of a comparison.

    On the scale of the accuracy, half as many errors are always the same way
    up: from 98 to 99 % is as far as from 80 to 90 %. It is drawn over the
    number of parameters; or over the methods, if there is one density only,
    for then all have about the same number. Multiply-adds differ there too.

    Args:
        rows: List of `Row`.
        path: File to write; its ending says the format.
        title: Text above the picture.
        over: `"num_parameters"` or `"num_active_macs"`, which must be known
            of all rows.
    """
    # Not `pyplot`, which needs to know of a screen.
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator
    from matplotlib.ticker import NullLocator
    from matplotlib.ticker import StrMethodFormatter

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.set_yscale("function", functions=(_stretch, _squeeze))
    lowest, highest = _range(rows)
    axes.set_ylim(lowest, highest)
    axes.yaxis.set_major_locator(FixedLocator(_ticks(lowest, highest)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_ylabel("test accuracy, %")
    axes.set_title(title, parse_math=False)
    axes.grid(color="0.9")
    _draw_dense(axes, rows, over)
    sparse = [row for row in rows if row.density is not None]
    has_one_density = len({row.density for row in sparse}) == 1
    if has_one_density and over == "num_parameters":
        _draw_over_methods(axes, sparse)
    else:
        _draw_over(axes, sparse, over)
    figure.savefig(path, dpi=150)


def _draw_dense(axes: Any, rows: Sequence[Row], over: str) -> None:
    """Lines across the picture, each with a name at its end."""
    dense = [row for row in rows if row.density is None]
    lowest, highest = map(_stretch, axes.get_ylim())
    places = [
        float((_stretch(100 * row.accuracy) - lowest) / (highest - lowest))
        for row in dense
    ]
    # A line of text is a twentieth of the height, and stands on its line.
    for row, place in zip(dense, _apart_upwards(places, 0.05, 0.94)):
        axes.axhline(100 * row.accuracy, color="0.5", linestyle="--")
        axes.annotate(
            f"{row.name} ({getattr(row, over):,.0f}): {100 * row.accuracy:.2f}",
            (0.99, place),
            xycoords="axes fraction",
            xytext=(0, 4),
            textcoords="offset points",
            ha="right",
            color="0.35",
            # Those that have moved may stand on the line of another.
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )


def _apart_upwards(
    places: Sequence[float], apart: float, top: float
) -> list[float]:
    """Places moved until each is so far from the next, and below the top.

    They go up, in their order; down only where there is no room above.
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved = list(places)
    for below, i in zip(order, order[1:]):
        moved[i] = max(moved[i], moved[below] + apart)
    for i in reversed(order):
        moved[i] = min(moved[i], top)
        top = moved[i] - apart
    return moved


def _draw_over_methods(axes: Any, rows: Sequence[Row]) -> None:
    axes.errorbar(
        range(len(rows)),
        [100 * row.accuracy for row in rows],
        [100 * (row.deviation or 0) for row in rows],
        fmt="o",
        capsize=3,
    )
    axes.set_xticks(range(len(rows)), [row.name for row in rows], rotation=20)
    axes.set_xlabel(f"density {rows[0].density:g}")


def _draw_over(axes: Any, rows: Sequence[Row], over: str) -> None:
    from matplotlib.ticker import FixedLocator
    from matplotlib.ticker import NullLocator
    from matplotlib.ticker import StrMethodFormatter

    axes.set_xscale("log")
    names = list(dict.fromkeys(row.name for row in rows))
    for i, name in enumerate(names):
        line = sorted(
            (row for row in rows if row.name == name),
            key=lambda row: getattr(row, over),
        )
        axes.errorbar(
            [getattr(row, over) for row in line],
            [100 * row.accuracy for row in line],
            [100 * (row.deviation or 0) for row in line],
            label=name,
            marker=_MARKERS[i % len(_MARKERS)],
            capsize=3,
            # Of points in one place, the first are seen around the others.
            markersize=9 - 4 * i / max(1, len(names) - 1),
            linewidth=1.2,
            color=_COLORS[i % len(_COLORS)],
        )
    counts = [round(getattr(row, over)) for row in rows]
    axes.xaxis.set_major_locator(FixedLocator(_apart(counts)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel(_OVER[over])
    if rows:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


def _ticks(lowest: float, highest: float) -> Sequence[float]:
    """Round accuracies for labels; where few are, at equal steps."""
    round_ones = [tick for tick in _TICKS if lowest <= tick <= highest]
    if len(round_ones) >= 4:
        # Those of low accuracies are near to each other on this scale.
        apart = 0.05 * float(_stretch(highest) - _stretch(lowest))
        kept = round_ones[-1:]
        for tick in reversed(round_ones):
            if _stretch(kept[-1]) - _stretch(tick) > apart:
                kept.append(tick)
        return kept[::-1]
    for step in (1, 2, 5, 10):
        first = step * math.ceil(lowest / step)
        ticks = range(first, math.floor(highest) + 1, step)
        if len(ticks) <= 10:  # More would cover each other.
            break
    return ticks


def _stretch(accuracy: Any) -> Any:
    import numpy as np

    return -np.log10(np.maximum(100.5 - np.asarray(accuracy, float), 1e-3))


def _squeeze(stretched: Any) -> Any:
    import numpy as np

    return 100.5 - 10.0 ** -np.asarray(stretched, float)


def _range(rows: Sequence[Row]) -> tuple[float, float]:
    """The accuracies to show, in percent, with room for deviations."""
    low = min(100 * (r.accuracy - (r.deviation or 0)) for r in rows)
    high = max(100 * (r.accuracy + (r.deviation or 0)) for r in rows)
    high = min(100, high + 0.3)
    # A marker takes a twentieth of the height.
    room = 0.05 * (_stretch(high) - _stretch(low))
    return max(0, math.floor(_squeeze(_stretch(low) - room))), high


def _apart(counts: Sequence[int]) -> list[int]:
    """The most frequent counts, none so near to another that labels meet."""
    chosen: list[int] = []
    # A label takes up to an eighth of the axis, which is of logarithms.
    span = max(counts, default=1) / max(1, min(counts, default=1))
    near = max(1.15, span**0.125)
    for count, _ in collections.Counter(counts).most_common():
        if all(not other / near < count < other * near for other in chosen):
            chosen.append(count)
    return chosen
