"""How weights went from kernel to kernel."""

import numpy as np

from dsr_tf.page import heat
from dsr_tf.page import numbers
from dsr_tf.page.chart import Axis
from dsr_tf.page.chart import Line
from dsr_tf.page.chart import lines
from dsr_tf.page.markup import Markup
from dsr_tf.page.moves import Moves
from dsr_tf.page.run import Run
from dsr_tf.page.sections.density import UPDATES
from dsr_tf.page.sections.ribbons import picture
from dsr_tf.page.sections.section import grid
from dsr_tf.page.sections.section import section


def of(run: Run) -> Markup:
    moves = run.moves
    if moves is None or not moves.net.any():
        return Markup()
    change = moves.active[-1] - moves.at_start
    figures = []
    if moves.between_kernels.any():
        figures = [picture(moves.paths, change), _shares(moves)]
    return section(
        "Flow of weights between layers",
        "What a kernel gained or lost in a reallocation is what grew in it "
        "less what was pruned there.",
        _heat(moves, change),
        grid(*figures) if figures else "",
    )


def _heat(moves: Moves, change: np.ndarray) -> Markup:
    """Gains and losses, in weights that were active in the kernel."""
    before = np.maximum(1, moves.active - moves.net)
    starts = heat.cells(len(moves.steps))
    shares = heat.sums(moves.net) / before[starts]
    # Half of all differences are small: the root shows them too.
    largest = float(np.quantile(np.abs(shares), 0.99)) or float(
        np.abs(shares).max()
    )
    strengths = np.sign(shares) * np.sqrt(np.abs(shares) / largest).clip(max=1)
    was = np.maximum(1, moves.at_start)
    rows = [
        heat.Strip(
            path,
            strength,
            f"{numbers.signed(weights)} ({_signed_share(weights / start)})",
        )
        for path, strength, weights, start in zip(
            moves.paths, strengths.T, change, was
        )
    ]
    legend = [
        (sign * part, f"{word} {numbers.percent(part * part * largest)}")
        for sign, word, part in (
            (-1, "loses", 1.0),
            (-1, "loses", 0.5),
            (1, "gains", 0.5),
            (1, "gains", 1.0),
        )
    ]
    most = int(np.diff([*starts, len(moves.steps)]).max())
    each = "a reallocation" if most == 1 else f"{most:,} reallocations"
    return heat.strips(
        f"Gains and losses, each cell {each}",
        rows,
        heat.lasts(moves.steps),
        legend,
        "the numbers are weights, in all",
    )


def _shares(moves: Moves) -> Markup:
    moved = np.maximum(moves.pruned.sum(1), moves.grown.sum(1))
    shares = moves.between_kernels / np.maximum(1, moved)
    points = list(zip(moves.steps.tolist(), shares.tolist()))
    return lines(
        "Moved to another kernel",
        [Line("share", points)],
        UPDATES,
        Axis("share of the weights that moved", numbers.round_percent, low=0.0),
    )


def _signed_share(share: float) -> str:
    sign = "+" if share >= 0 else "−"
    return f"{sign}{numbers.percent(abs(share))}"
