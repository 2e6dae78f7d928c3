"""Several runs side by side: accuracy over what they cost."""

import math
from collections.abc import Callable
from collections.abc import Sequence

from dsr_tf.page import numbers
from dsr_tf.page.chart import Axis
from dsr_tf.page.chart import Line
from dsr_tf.page.chart import lines
from dsr_tf.page.chart import points
from dsr_tf.page.markup import Markup
from dsr_tf.page.markup import element
from dsr_tf.page.run import Run
from dsr_tf.page.sections.curves import EPOCHS
from dsr_tf.page.sections.curves import by_epoch
from dsr_tf.page.sections.section import grid
from dsr_tf.page.sections.section import section
from dsr_tf.page.table import table

# More lines than this cover each other.
_MAX_LINES = 18
# Of more runs, those of a method look the same.
_MAX_KINDS = 10
_COSTS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("active parameters", "num_active_parameters", numbers.short),
    ("active multiply-adds for an example", "num_active_macs", numbers.short),
    ("bytes of the SavedModel", "saved_model_bytes", numbers.size),
)


def of(runs: Sequence[Run]) -> Markup:
    figures = [
        _over(title, name, format, runs) for title, name, format in _COSTS
    ]
    drawn = [run for run in runs if run.curves.get("test_accuracy")]
    if drawn:
        figures.append(
            lines(
                "Test accuracy while they trained",
                [
                    Line(name, by_epoch(run.curves["test_accuracy"]))
                    for name, run in list(zip(names(drawn), drawn))[:_MAX_LINES]
                ],
                EPOCHS,
                Axis("share of images", numbers.round_percent, high=1.0),
            )
        )
    return section(
        "Accuracy and cost",
        "Higher is better, and so is further left.",
        grid(*figures),
        _table(runs),
    )


def _over(
    title: str,
    name: str,
    format: Callable[[float], str],
    runs: Sequence[Run],
) -> Markup:
    """Accuracies over a number of the summaries, of those that have it."""
    kinds: dict[str, tuple[list, list]] = {}
    methods = {run.summary["method"] for run in runs}
    by_method = len(runs) > _MAX_KINDS and len(methods) > 1
    for label, run in zip(names(runs), runs):
        value = run.summary.get(name)
        if not value:
            continue
        kind = run.summary["method"] if by_method else label
        places, said = kinds.setdefault(kind, ([], []))
        accuracy = run.summary["test_accuracy"]
        places.append((float(value), accuracy))
        said.append(f"{label}: {numbers.percent(accuracy)}, {format(value)}")
    if not kinds:
        return Markup()
    return points(
        f"Accuracy over {title}",
        [Line(kind, *found) for kind, found in kinds.items()],
        Axis(title, format, is_log=True),
        Axis("test accuracy", numbers.round_percent),
    )


def names(runs: Sequence[Run]) -> list[str]:
    """A name for each run, its folder's: as much of it as tells it apart."""
    parts = [run.folder.rstrip("/").split("/") for run in runs]
    longest = max(map(len, parts))
    for length in range(1, longest + 1):
        found = ["/".join(part[-length:]) or "/" for part in parts]
        if len(set(found)) == len(found):
            break
    return found


def _table(runs: Sequence[Run]) -> Markup:
    rows = []
    for number, (name, run) in enumerate(zip(names(runs), runs), 1):
        summary = run.summary
        macs = summary.get("num_active_macs")
        density = summary["mask_density"] if summary["kernels"] else math.nan
        rows.append(
            (
                element("a", name, href=f"#run{number}", title=run.folder),
                summary["method"],
                summary["model"],
                summary["dataset"],
                numbers.percent(summary["test_accuracy"]),
                numbers.percent(density) if summary["kernels"] else "–",
                numbers.count(summary["num_active_parameters"]),
                "–" if macs is None else numbers.short(macs),
                numbers.size(summary["saved_model_bytes"]),
            )
        )
    return table(
        (
            "run",
            "method",
            "model",
            "data set",
            "test accuracy",
            "density",
            "active parameters",
            "active multiply-adds",
            "SavedModel",
        ),
        rows,
    )
