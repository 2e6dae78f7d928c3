"""The results of a comparison: a row for each method and density."""

import dataclasses
import os
import statistics
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

from dsr_tf import recipes
from dsr_tf.comparison.plan import PlannedRun
from dsr_tf.comparison.traits import NEEDED
from dsr_tf.comparison.traits import Origin
from dsr_tf.comparison.traits import traits
from dsr_tf.training import run_summary


@dataclasses.dataclass(frozen=True)
class Row:
    """One method at one density, over all seeds.

    Attributes:
        name: Name of the flagfile.
        density: Density asked for; None for the dense network.
        num_seeds: Number of finished runs.
        accuracy: Mean test accuracy after the last epoch.
        deviation: Sample standard deviation over the seeds; None for less
            than three, of which it would say little.
        difference: Mean accuracy minus that of the dense network; None
            where there is none.
        num_parameters: Mean number of parameters that are active.
        num_macs: Mean number of multiply-adds for an image, those with zeros
            included; None where runs of an earlier version did not note it.
        num_active_macs: Those of them by active weights; None alike.
        mask_density: Active share of the masked kernels; None without any.
        model_density: Active parameters over those of the dense network.
        epoch_ratio: Seconds of an epoch over those of the dense network,
            medians; None where there is none, or for runs of one epoch,
            which has compiled as well.
        num_bytes: Mean size of the SavedModel; None as of `num_macs`.
        largest: The largest number of active parameters at any step of any
            of the runs, and of those that they started from; None as of
            `num_macs`. So are those below.
        is_strict: Whether every run held the same number of parameters
            throughout, see `dsr_tf.comparison.traits`.
        emptied: What is gone, in one word, such as "channel"; "" if nothing
            is.
        is_automatic: Whether the shares of layers changed: "yes", "no", or
            "yes/no" where seeds differ.
        training_ratio: Seconds of training, with the runs that a run started
            from, over those of the dense network, medians; None where there
            is none.
        training_macs_ratio: Multiply-adds of training by active weights,
            with the runs that a run started from, over those of the dense
            network, means; None where they are not known.
    """

    name: str
    density: float | None
    num_seeds: int
    accuracy: float
    deviation: float | None
    difference: float | None
    num_parameters: float
    num_macs: float | None
    mask_density: float | None
    model_density: float | None
    epoch_ratio: float | None
    num_bytes: float | None = None
    largest: int | None = None
    is_strict: bool | None = None
    emptied: str | None = None
    is_automatic: str | None = None
    training_ratio: float | None = None
    num_active_macs: float | None = None
    training_macs_ratio: float | None = None


def rows(runs: Sequence[tuple[PlannedRun, dict]]) -> list[Row]:
    """Summarize the finished runs of a comparison.

    Args:
        runs: List of pairs `(PlannedRun, summary)`.

    Returns:
        List of `Row`, in the order of the runs.
    """
    groups: dict[tuple, list[tuple[PlannedRun, dict]]] = {}
    for planned, summary in runs:
        key = (planned.name, planned.density)
        groups.setdefault(key, []).append((planned, summary))
    dense = [
        summary
        for planned, summary in runs
        if recipes.get(planned.method).is_reference
    ]
    origin = _origins(runs)
    return [_row(key, group, dense, origin) for key, group in groups.items()]


def _origins(runs: Sequence[tuple[PlannedRun, dict]]) -> Origin:
    """The runs of a comparison, and others by their folders."""
    by_folder = {planned.folder: summary for planned, summary in runs}
    # The folder of a comparison may have been moved as a whole.
    by_name = {os.path.basename(f): s for f, s in by_folder.items()}

    def origin(path: str) -> dict | None:
        if path in by_folder:
            return by_folder[path]
        try:
            return run_summary.read(path, NEEDED)
        except (FileNotFoundError, run_summary.Damaged):
            return by_name.get(os.path.basename(path))

    return origin


def _row(
    key: tuple[str, float | None],
    group: list[tuple[PlannedRun, dict]],
    dense: list[dict],
    origin: Origin,
) -> Row:
    summaries = [summary for _, summary in group]
    recipe = recipes.get(group[0][0].method)

    def all_have(name: str) -> bool:
        return all(name in summary for summary in summaries)

    def mean(name: str, of: list[dict] = summaries) -> float:
        return statistics.fmean(summary[name] for summary in of)

    accuracies = [summary["test_accuracy"] for summary in summaries]
    accuracy, parameters = (
        statistics.fmean(accuracies),
        mean("num_active_parameters"),
    )
    # The dense network has all of the weights that others have masks for.
    has_mask_density = recipe.has_masks or recipe.is_reference
    return Row(
        name=key[0],
        density=key[1],
        num_seeds=len(summaries),
        accuracy=accuracy,
        deviation=_deviation(accuracies),
        difference=accuracy - mean("test_accuracy", dense) if dense else None,
        num_parameters=parameters,
        num_macs=mean("num_macs") if all_have("num_macs") else None,
        mask_density=mean("mask_density") if has_mask_density else None,
        model_density=parameters / mean("num_parameters", dense)
        if dense
        else None,
        epoch_ratio=_epoch_ratio(summaries, dense),
        num_active_macs=mean("num_active_macs")
        if all_have("num_active_macs")
        else None,
        num_bytes=mean("saved_model_bytes")
        if all_have("saved_model_bytes")
        else None,
        **_traits(summaries, dense, origin),
    )


def _epoch_ratio(summaries: list[dict], dense: list[dict]) -> float | None:
    ours, theirs = (
        [run["seconds_per_epoch"] for run in runs if run.get("epochs") != 1]
        for runs in (summaries, dense)
    )
    if not ours or not theirs:
        return None
    return statistics.median(ours) / statistics.median(theirs)


def _traits(
    summaries: list[dict], dense: list[dict], origin: Origin
) -> dict[str, Any]:
    """What the runs did, by name of the field; empty if it is not known."""
    found = [traits(summary, origin) for summary in summaries]
    known = [run for run in found if run is not None]
    if len(known) < len(found):
        return {}
    whole = [traits(summary, origin) for summary in dense]
    seconds = [run.seconds for run in whole if run is not None]
    median = statistics.median(run.seconds for run in known)
    multiplied = _mean(run.num_training_macs for run in known)
    by_dense = _mean(run.num_training_macs if run else None for run in whole)
    parts = dict.fromkeys(part for run in known for part in run.emptied)
    moved = {run.is_automatic for run in known}
    return {
        "largest": max(run.largest for run in known),
        "is_strict": all(run.is_strict for run in known),
        "emptied": "/".join(parts),
        "is_automatic": "/".join(
            word
            for word, is_so in (("yes", True), ("no", False))
            if is_so in moved
        ),
        "training_ratio": median / statistics.median(seconds)
        if seconds
        else None,
        "training_macs_ratio": multiplied / by_dense
        if multiplied and by_dense
        else None,
    }


def _mean(numbers: Iterable[int | None]) -> float | None:
    """None if one of them is not known, or there are none."""
    known = list(numbers)
    if None in known or not known:
        return None
    return statistics.fmean(number or 0 for number in known)


def _deviation(accuracies: list[float]) -> float | None:
    if len(accuracies) < 3:
        return None
    return statistics.stdev(accuracies)
