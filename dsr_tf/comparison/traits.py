"""What a run did with its weights: the columns of the paper's Table 6.

All of it is found in what the run left behind, and in the run that it
started from, not in what is known of its method.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

from dsr_tf.core.printing import total

# What the columns need of a summary, which earlier versions did not write.
NEEDED = (
    "epochs",
    "seconds_per_epoch",
    "num_active_parameters",
    "largest_num_active_parameters",
    "emptied",
    "kernels",
    "settings",
)
# Where a run was told to start from, and the summary of that.
Origin = Callable[[str], dict[str, Any] | None]
# By how much the shares of two layers may differ, and be the same but for
# rounding: relative to the number of weights or units that is left.
_ROUNDING = 0.02


@dataclasses.dataclass(frozen=True)
class Traits:
    """What one run did.

    Attributes:
        largest: The largest number of active parameters at any step, those
            of the run included that it started from.
        is_strict: Whether that is the number at the end: a strict budget of
            parameters throughout training.
        emptied: The largest parts of the dense network of which all are
            gone: "layer", "channel", "shape", "kernel", "element", names of
            blocks or of patterns N:M. Empty if nothing is gone.
        is_automatic: Whether the shares of layers, of all active weights or
            of the channels that are left, are others than at the start.
        seconds: Time of training, with the run that it started from.
        num_training_macs: Multiply-adds of training by active weights, see
            `dsr_tf.training.training_macs`, of the same runs; None where one
            of them did not note them.
    """

    largest: int
    is_strict: bool
    emptied: tuple[str, ...]
    is_automatic: bool
    seconds: float
    num_training_macs: int | None


def traits(summary: dict[str, Any], origin: Origin) -> Traits | None:
    """Read off a finished run.

    Args:
        summary: Its summary, see `dsr_tf.training.run_summary`.
        origin: Function from the `--initial_checkpoint` of a run to the
            summary of the run there; None where there is no summary.

    Returns:
        None if it, or a run that it started from, was made by an earlier
        version or is not there.
    """
    chain = _chain(summary, origin)
    if chain is None:
        return None
    narrowed = summary.get("narrowed")
    largest = max(s["largest_num_active_parameters"] for s in chain)
    units = narrowed["units"].values() if narrowed else ()
    return Traits(
        largest=largest,
        is_strict=largest <= summary["num_active_parameters"],
        emptied=_emptied(summary["emptied"], units),
        is_automatic=any(_masks_moved(s["kernels"]) for s in chain)
        or _uneven(units),
        seconds=sum(s["epochs"] * s["seconds_per_epoch"] for s in chain),
        num_training_macs=total(s.get("num_training_macs") for s in chain),
    )


def _chain(
    summary: dict[str, Any], origin: Origin
) -> list[dict[str, Any]] | None:
    """The summary and those of the runs before it, the last run first."""
    chain: list[dict[str, Any]] = []
    following: dict[str, Any] | None = summary
    while following is not None:
        if any(name not in following for name in NEEDED):
            return None
        # A run that a damaged summary makes its own origin.
        if any(following is earlier for earlier in chain):
            return None
        chain.append(following)
        path = following["settings"].get("initial_checkpoint")
        if not path:
            return chain
        following = origin(path)
    return None


def _emptied(
    by_masks: Iterable[str], units: Iterable[list[int]]
) -> tuple[str, ...]:
    """Parts that are gone, by masks or because the network is smaller."""
    found = list(by_masks)
    gone = {num == 0 for num, of in units if num < of}
    for is_whole, name in ((False, "channel"), (True, "layer")):
        if is_whole in gone and name not in found:
            found.insert(0, name)
    return tuple(found)


def _masks_moved(kernels: Iterable[dict[str, Any]]) -> bool:
    kernels = [k for k in kernels if "num_active_at_start" in k]
    return _differ(
        [(k["num_active_at_start"], k["num_active"]) for k in kernels],
        # A group of weights more or less is rounding as well.
        [k.get("group_size", 1) for k in kernels],
    )


def _uneven(units: Iterable[list[int]]) -> bool:
    """Whether narrowed sets of channels have lost different shares."""
    lost = [(of, num) for num, of in units if num < of]
    return _differ(lost, [1] * len(lost))


def _differ(pairs: list[tuple[int, int]], one: list[int]) -> bool:
    """Whether numbers before and after are not in one proportion.

    Those before are positive.

    Args:
        pairs: For each layer, its numbers before and after.
        one: For each layer, by how much rounding may change the number.
    """
    before = sum(was for was, _ in pairs)
    after = sum(now for _, now in pairs)
    for (was, now), step in zip(pairs, one):
        expected = was * after / before
        if abs(now - expected) > max(step, _ROUNDING * expected):
            return True
    return False
