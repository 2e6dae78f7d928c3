"""The results of a comparison: a row for each method and density."""

import dataclasses
import statistics
from collections.abc import Sequence

from dsr_tf import recipes
from dsr_tf.comparison.plan import PlannedRun


@dataclasses.dataclass(frozen=True)
class Row:
    """One method at one density, over all seeds.

    Attributes:
        name: Name of the flagfile.
        density: Density asked for; None for the dense network.
        num_seeds: Number of finished runs.
        accuracy: Mean test accuracy after the last epoch.
        deviation: Sample standard deviation over the seeds; None for one.
        difference: Mean accuracy minus that of the dense network; None
            where there is none.
        num_parameters: Mean number of parameters that are active.
        num_macs: Mean number of multiply-adds for an image, those with zeros
            included; None where runs of an earlier version did not note it.
        mask_density: Active share of the masked kernels; None without any.
        model_density: Active parameters over those of the dense network.
        epoch_ratio: Seconds of an epoch over those of the dense network,
            medians; None where there is none.
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
    return [_row(key, group, dense) for key, group in groups.items()]


def _row(
    key: tuple[str, float | None],
    group: list[tuple[PlannedRun, dict]],
    dense: list[dict],
) -> Row:
    summaries = [summary for _, summary in group]
    recipe = recipes.get(group[0][0].method)

    def mean(name: str, of: list[dict] = summaries) -> float:
        return statistics.fmean(summary[name] for summary in of)

    def median(name: str, of: list[dict] = summaries) -> float:
        return statistics.median(summary[name] for summary in of)

    accuracies = [summary["test_accuracy"] for summary in summaries]
    accuracy, parameters = (
        statistics.fmean(accuracies),
        mean("num_active_parameters"),
    )
    seconds = "seconds_per_epoch"
    # The dense network has all of the weights that others have masks for.
    has_mask_density = recipe.has_masks or recipe.is_reference
    return Row(
        name=key[0],
        density=key[1],
        num_seeds=len(summaries),
        accuracy=accuracy,
        deviation=statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        difference=accuracy - mean("test_accuracy", dense) if dense else None,
        num_parameters=parameters,
        num_macs=mean("num_macs")
        if all("num_macs" in summary for summary in summaries)
        else None,
        mask_density=mean("mask_density") if has_mask_density else None,
        model_density=parameters / mean("num_parameters", dense)
        if dense
        else None,
        epoch_ratio=median(seconds) / median(seconds, dense) if dense else None,
    )
