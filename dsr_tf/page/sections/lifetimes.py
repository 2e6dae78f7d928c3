"""How long weights live: their ages, and growth that is pruned at once."""

import numpy as np

from dsr_tf.page import heat
from dsr_tf.page import numbers
from dsr_tf.page.ages import Ages
from dsr_tf.page.chart import Axis
from dsr_tf.page.chart import Line
from dsr_tf.page.chart import areas
from dsr_tf.page.chart import lines
from dsr_tf.page.markup import Markup
from dsr_tf.page.markup import element
from dsr_tf.page.markup import short_name
from dsr_tf.page.run import Run
from dsr_tf.page.sections.density import UPDATES
from dsr_tf.page.sections.section import grid
from dsr_tf.page.sections.section import section
from dsr_tf.page.table import bar
from dsr_tf.page.table import table


def of(run: Run) -> Markup:
    ages = run.ages
    if ages is None or not ages.grown.any():
        return Markup()
    figures = [
        areas(
            "Active weights by age",
            ages.steps.tolist(),
            [(name, share.tolist()) for name, share in ages.shares],
            UPDATES,
            Axis("share of the active weights", numbers.round_percent),
        )
    ]
    shares = ages.pruned_at_once_share()
    intro = (
        "The age of a weight is the number of reallocations that it has "
        "survived."
    )
    if np.isfinite(shares).any():
        grown = int(ages.grown[:-1].sum())
        pruned = int(ages.pruned_at_once[1:].sum())
        intro += (
            f" Of all that grew, {numbers.percent(pruned / grown)} was pruned "
            "by the very next one."
        )
        figures.append(
            lines(
                "Growth that is pruned at once",
                [
                    Line(
                        "share",
                        list(zip(ages.steps[1:].tolist(), shares.tolist())),
                    )
                ],
                UPDATES,
                Axis(
                    "share of what the reallocation before grew",
                    numbers.round_percent,
                    low=0.0,
                    high=1.0,
                ),
            )
        )
    return section(
        "How long weights live", intro, grid(*figures), _kernels(run, ages)
    )


def _kernels(run: Run, ages: Ages) -> Markup:
    """The same of each kernel, over the whole run."""
    active = {k["path"]: k["num_active"] for k in run.summary["kernels"]}
    grown = ages.grown[:-1].sum(axis=0)
    pruned = ages.pruned_at_once[1:].sum(axis=0)
    oldest = max(1.0, float(np.nanmax(ages.mean_ages[-1])))
    rows = []
    for i, path in list(enumerate(ages.paths))[: heat.MAX_ROWS]:
        mean = float(ages.mean_ages[-1, i])
        kept = ages.kernels_from_start[-1, i] / max(1, active[path])
        at_once = pruned[i] / grown[i] if grown[i] else 0.0
        rows.append(
            (
                element("span", short_name(path), title=path),
                bar(kept, numbers.percent(kept)),
                bar(mean / oldest, f"{mean:,.1f}"),
                bar(at_once, numbers.percent(at_once) if grown[i] else "–"),
            )
        )
    return table(
        (
            "kernel",
            "active from the start",
            "mean age at the end",
            "growth pruned at once",
        ),
        rows,
    )
