"""Where the budget went, as a picture: densities of the kernels over time."""

import math
import os
from collections.abc import Mapping
from collections.abc import Sequence

# More names than this would hide the lines.
_IN_A_LEGEND = 8


def endings() -> list[str]:
    """Endings of the pictures that can be written, without the dot."""
    from matplotlib.figure import Figure

    return sorted(Figure().canvas.get_supported_filetypes())


def write_plot(
    steps: Sequence[int],
    densities: Mapping[str, Sequence[float]],
    path: str | os.PathLike,
    title: str,
) -> None:
    """Draw a line for each kernel, coloured from the first to the last.

    Few of them have names in a legend, many at a bar of the colours.

    Args:
        steps: List of numbers of updates.
        densities: Dict `{path of a kernel: list of densities}`, in the
            order in which the network computes.
        path: File to write; its ending says the format.
        title: Text above the picture.
    """
    # Not `pyplot`, which needs to know of a screen.
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    names = list(densities)
    last, has_legend = len(names) - 1, len(names) <= _IN_A_LEGEND
    scale, colors = Normalize(0, max(1, last)), colormaps["viridis"]
    for number, name in enumerate(names):
        axes.plot(
            steps,
            densities[name],
            color=f"C{number}" if has_legend else colors(scale(number)),
            linewidth=1.2,
            label=_short(name),
        )
    axes.set_yscale("log")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_yticks(_ticks(*axes.get_ylim()))
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}%")
    axes.set_xlabel("updates")
    axes.set_ylabel("active weights of the kernel")
    axes.set_title(title, parse_math=False)
    axes.grid(alpha=0.3)
    if has_legend:
        axes.legend(frameon=False)
    else:
        bar = figure.colorbar(ScalarMappable(scale, colors), ax=axes, aspect=30)
        shown = sorted({round(i * last / 6) for i in range(7)})
        bar.set_ticks(shown, labels=[_short(names[i]) for i in shown])
        bar.ax.invert_yaxis()
        bar.ax.tick_params(labelsize=8)
    figure.savefig(path, dpi=130)


def _ticks(lowest: float, highest: float) -> list[float]:
    """Round shares from the one to the other, on a scale of logarithms."""
    from matplotlib.ticker import MaxNLocator

    digits = (1, 2, 5) if highest > 20 * lowest else (1, 1.5, 2, 3, 5, 7)
    powers = range(math.floor(math.log10(lowest)), 1)
    ticks = [digit * 10.0**power for power in powers for digit in digits]
    ticks = [tick for tick in ticks if lowest <= tick <= min(1, highest)]
    if len(ticks) >= 3:
        return ticks
    # Where few are, at equal steps, which are round too.
    steps = MaxNLocator(5).tick_values(lowest, min(1, highest))
    return [float(tick) for tick in steps if lowest <= tick <= highest]


def _short(name: str) -> str:
    """The layer's name, without that of its variable."""
    return name.rpartition("/")[0] or name
