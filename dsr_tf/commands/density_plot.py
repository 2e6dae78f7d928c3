"""Where the budget went, as a picture: densities of the kernels over time."""

import os
from collections.abc import Mapping
from collections.abc import Sequence


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
    from matplotlib.ticker import PercentFormatter

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    colors = colormaps["viridis"]
    names = list(densities)
    last = len(names) - 1
    scale = Normalize(0, max(1, last))
    for number, name in enumerate(names):
        axes.plot(
            steps, densities[name], color=colors(scale(number)), linewidth=1.2
        )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    axes.yaxis.set_minor_formatter(PercentFormatter(1, decimals=None))
    axes.tick_params(axis="y", which="both", labelsize=8)
    axes.set_xlabel("updates")
    axes.set_ylabel("active weights of the kernel")
    axes.set_title(title, parse_math=False)
    axes.grid(alpha=0.3, which="both")
    bar = figure.colorbar(ScalarMappable(scale, colors), ax=axes, aspect=30)
    shown = sorted({round(i * last / 6) for i in range(7)})
    bar.set_ticks(shown, labels=[_short(names[i]) for i in shown])
    bar.ax.invert_yaxis()
    bar.ax.tick_params(labelsize=8)
    figure.savefig(path, dpi=130)


def _short(name: str) -> str:
    """The layer's name, without that of its variable."""
    return name.rpartition("/")[0] or name
