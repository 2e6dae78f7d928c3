"""Where the budget went, as a picture: densities of the kernels over time."""

import csv


def read_densities(path, sizes):
    """Densities from a run's `reallocations.csv`.

    Args:
        path: The file.
        sizes: Dict `{path of a kernel: number of weights}`.

    Returns:
        List of steps, and a dict `{path of a kernel: list of densities}`.
    """
    steps, densities = [], {name: [] for name in sizes}
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            steps.append(int(row["step"]))
            for name, size in sizes.items():
                densities[name].append(int(row[f"active:{name}"]) / size)
    return steps, densities


def write_plot(steps, densities, path, title):
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
    last = max(1, len(names) - 1)
    for number, name in enumerate(names):
        axes.plot(
            steps, densities[name], color=colors(number / last), linewidth=1.2
        )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    axes.yaxis.set_minor_formatter(PercentFormatter(1, decimals=None))
    axes.tick_params(axis="y", which="minor", labelsize=7)
    axes.set_xlabel("updates")
    axes.set_ylabel("active weights of the kernel")
    axes.set_title(title)
    axes.grid(alpha=0.3, which="both")
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, last), colors), ax=axes, aspect=30
    )
    shown = sorted({round(i * last / 6) for i in range(7)})
    bar.set_ticks(shown, labels=[_short(names[i]) for i in shown])
    bar.ax.invert_yaxis()
    bar.ax.tick_params(labelsize=8)
    figure.savefig(path, dpi=130)


def _short(name):
    """The layer's name, without that of its variable."""
    return name.rpartition("/")[0] or name
