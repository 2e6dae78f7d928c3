"""The threshold, and how many weights each reallocation moved."""

import numpy as np

from dsr_tf.page import numbers
from dsr_tf.page.chart import Axis
from dsr_tf.page.chart import Line
from dsr_tf.page.chart import lines
from dsr_tf.page.markup import Markup
from dsr_tf.page.run import Run
from dsr_tf.page.sections.density import UPDATES
from dsr_tf.page.sections.section import grid
from dsr_tf.page.sections.section import section


def of(run: Run) -> Markup:
    moves = run.moves
    if moves is None:
        return Markup()
    steps = moves.steps.tolist()
    pruned, grown = (
        list(zip(steps, counts.sum(axis=1).tolist()))
        for counts in (moves.pruned, moves.grown)
    )
    named = [Line("pruned", pruned), Line("grown", grown)]
    if pruned == grown:
        named = [Line("pruned, and grown", pruned)]
    active = moves.active.sum(axis=1)
    share = moves.grown.sum(axis=1) / np.maximum(1, active)
    figures = [
        lines(
            "Moved weights" if pruned == grown else "Pruned and grown weights",
            named,
            UPDATES,
            Axis("weights of a reallocation", low=0.0),
        )
    ]
    has_threshold = np.isfinite(moves.thresholds).any()
    if has_threshold:
        points = list(zip(steps, moves.thresholds.tolist()))
        figures.insert(
            0,
            lines(
                "Threshold",
                [Line("threshold", points)],
                UPDATES,
                Axis(
                    "magnitude below which weights are pruned",
                    numbers.plain,
                    is_log=True,
                ),
            ),
        )
    if (active != active[0]).any():
        figures.append(
            lines(
                "Active weights",
                [Line("active", list(zip(steps, active.tolist())))],
                UPDATES,
                Axis("weights of masked kernels", low=0.0),
            )
        )
    intro = (
        f"A reallocation moved {numbers.percent(float(np.median(share)))} of "
        "the active weights, in the median."
        if share.any()
        else ""
    )
    title = "Threshold and moved weights" if has_threshold else "Moved weights"
    return section(title, intro, grid(*figures))
