"""Which sets a method removes units from, and how many each keeps."""

import re
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
from absl import logging

from dsr_tf.conversion.selection import Filters
from dsr_tf.conversion.selection import Predicate
from dsr_tf.conversion.selection import first_few
from dsr_tf.core.checks import is_number
from dsr_tf.layers.masked_weights import layers_with_paths
from dsr_tf.structure.choice import choose
from dsr_tf.structure.graph.channels import ChannelSet
from dsr_tf.structure.graph.cost import Cost
from dsr_tf.structure.graph.structure import Structure

# One share for all sets, or by regular expressions that find sets.
Share = float | Mapping[str, float]


def candidates(
    structure: Structure,
    method: str,
    filters: Filters = None,
    kinds: Sequence[str] = ("inner",),
    reason: Callable[[ChannelSet], str] = lambda found: "",
) -> list[ChannelSet]:
    """The sets of some kinds that a method can remove units from.

    Those that are left out for a reason are told of by logging.

    Args:
        structure: The `Structure` of a model.
        method: Name of the method, for messages.
        filters: Regular expression, list of these, or function of a layer:
            of the first layer that makes the units, whose path is the set's
            name; of a selection, the first that reads them. By default all
            are wanted.
        kinds: The kinds of sets, see `ChannelSet`.
        reason: Function of a set that says why it is left out; `""` if it is
            not.

    Raises:
        ValueError: if there is none.
    """
    wanted = Predicate(filters)
    paths = [path for _, path in layers_with_paths(structure.model)]
    wanted.check_all_found([*paths, *(one.name for one in structure.sets)])
    found, skipped = [], []
    for one in structure.sets:
        # Selections are made by nobody.
        layers = one.producers or (one.kind == "selection" and one.readers)
        if one.kind not in kinds or not layers:
            continue
        if not wanted(layers[0], one.name):
            continue
        why = reason(one)
        if why:
            skipped.append(f"{one.name} ({why})")
        else:
            found.append(one)
    if not found:
        if not skipped and filters is None:
            # There is no such set; the layers that channels meet say why.
            skipped = [
                f"{path} ({why})" for path, why in structure.fixed.items()
            ]
        raise ValueError(
            f"Model '{structure.model.name}' has no channels that `{method}` "
            "can remove"
            + "".join(f"; {text}" for text in first_few(skipped))
            + ("" if filters is None else f". Received: filters={filters!r}")
        )
    if skipped:
        logging.info(
            "`%s` keeps all channels of these: %s",
            method,
            "; ".join(first_few(skipped)),
        )
    return found


def numbers_kept(
    structure: Structure,
    sets: Sequence[ChannelSet],
    share: Share | None = None,
    parameters: int | None = None,
    macs: int | None = None,
    multiple_of: int = 1,
) -> dict[str, int]:
    """How many units each set keeps, by a share or under a budget.

    Under a budget all sets keep the same share of their units.

    Args:
        structure: The `Structure` of a model.
        sets: Those of its sets that units are removed from.
        share: Share of the units that stay, in (0, 1], rounded down; or a
            dict from regular expressions to such: the first counts that
            finds something in the name of a set, and where none does, all
            units stay.
        parameters, macs, multiple_of: The budget, see `choose.to_budget`.
            Either `share` or a budget must be given.

    Returns:
        By name of a set, the number of units that stay.

    Raises:
        ValueError: if an argument is out of range.
    """
    _check_one(share, parameters, macs)
    sizes = {found.name: found.num_units for found in sets}
    if share is not None:
        shares = _shares(share, list(sizes))
        return {
            name: choose.number_of(size, shares[name])
            for name, size in sizes.items()
        }
    keep = choose.to_budget(
        choose.in_proportion(sizes),
        structure.cost,
        parameters,
        macs,
        multiple_of,
    )
    return {name: int(own.sum()) for name, own in keep.items()}


def largest_kept(
    scores: Mapping[str, np.ndarray],
    cost: Callable[[choose.Keep], Cost],
    share: Share | None = None,
    parameters: int | None = None,
    macs: int | None = None,
    multiple_of: int = 1,
) -> choose.Keep:
    """Which units stay, by their scores in all sets together.

    Args:
        scores: For each set by name, its scores `(num_units,)`.
        cost: Function of a choice that returns its cost, see
            `choose.to_budget`.
        share: Share of all units together that stay, in (0, 1], rounded
            down, though each set keeps one; or a dict from regular
            expressions to such, of which each set keeps its own, see
            `numbers_kept`.
        parameters, macs, multiple_of: The budget, see `choose.to_budget`.
            Either `share` or a budget must be given.

    Raises:
        ValueError: if an argument is out of range.
    """
    _check_one(share, parameters, macs)
    if isinstance(share, Mapping):
        shares = _shares(share, list(scores))
        return {
            name: choose.largest(own, choose.number_of(len(own), shares[name]))
            for name, own in scores.items()
        }
    if share is not None:
        _shares(share, list(scores))
        total = sum(len(own) for own in scores.values())
        parameters = max(len(scores), choose.number_of(total, share))
        cost, multiple_of = _number_of_units, 1
    return choose.to_budget(scores, cost, parameters, macs, multiple_of)


def _number_of_units(keep: choose.Keep) -> Cost:
    return Cost(sum(int(own.sum()) for own in keep.values()), 0)


def _check_one(share: object, parameters: object, macs: object) -> None:
    is_budget = parameters is not None or macs is not None
    if (share is None) != is_budget:
        raise ValueError(
            "Either `share`, or `parameters` or `macs` or both, must be given. "
            f"Received: share={share!r}, parameters={parameters!r}, "
            f"macs={macs!r}"
        )


def _shares(share: Share, names: Sequence[str]) -> dict[str, float]:
    """The share of each set, 1 where none is given."""
    given = dict(share) if isinstance(share, Mapping) else {"": share}
    found = dict.fromkeys(names, 1.0)
    try:
        for expression, own in reversed(given.items()):
            own_names = [x for x in names if re.search(expression, x)]
            if not own_names or not is_number(own) or not 0 < own <= 1:
                raise ValueError
            found.update(dict.fromkeys(own_names, float(own)))
    except (ValueError, TypeError, re.error):
        raise ValueError(
            "`share` must be a number in (0, 1], or a dict to such from "
            "regular expressions that find something in the names of sets, "
            f"such as {', '.join(first_few(list(names)))}. Received: "
            f"share={share!r}"
        ) from None
    return found
