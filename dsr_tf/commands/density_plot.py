"""Where the budget went, as a picture: densities of the kernels over time."""

import csv
import os
from collections.abc import Mapping
from collections.abc import Sequence


def read_densities(
    path: str | os.PathLike, sizes: Mapping[str, int]
) -> tuple[list[int], dict[str, list[float]]]:
    """Densities from a run's `reallocations.csv`.

    Args:
        path: The file.
        sizes: Dict `{path of a kernel: number of weights}`.

    Returns:
        List of steps, and a dict `{path of a kernel: list of densities}`.

    Raises:
        OSError: if it cannot be opened.
        ValueError: if a row is missing, not whole or not possible.
    """
    steps: list[int] = []
    densities: dict[str, list[float]] = {name: [] for name in sizes}
    with open(path, newline="", encoding="utf-8") as file:
        try:
            for number, row in enumerate(csv.DictReader(file), 1):
                steps.append(_whole(row, "step", 2**63, number))
                for name, size in sizes.items():
                    active = _whole(row, f"active:{name}", size, number)
                    densities[name].append(active / size)
        except csv.Error as error:
            raise ValueError(f"it is damaged: {error}") from error
    if not steps or steps != sorted(steps):
        raise ValueError("it is damaged: it must hold rows in order of steps")
    return steps, densities


def _whole(
    row: Mapping[str, str], column: str, maximum: int, number: int
) -> int:
    """A whole number of a row, up to `maximum`."""
    value = str(row.get(column))
    is_whole = value.isascii() and value.isdigit() and len(value) < 20
    if not is_whole or int(value) > maximum:
        raise ValueError(
            f"it is damaged: in row {number}, {column} is {value[:40]!r}"
        )
    return int(value)


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
    axes.tick_params(axis="y", which="minor", labelsize=7)
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
