"""Which units stay, by their scores: a share, a threshold, or a budget.

A unit is one channel or neuron with everything that must go when it goes; a
set holds the units that compete. All rules compute in float64 and break ties
in favour of what comes first, so every replica chooses the same.
"""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from dsr_tf.core.checks import is_integer
from dsr_tf.core.checks import is_number

# For each set by name, a boolean array: True for units that stay.
Keep = dict[str, np.ndarray]

# 1 - 0.8 is a little less than 0.2, and a fifth of 500 is 100 units.
_ROUNDING = 1e-9


class _Cost(Protocol):
    """What a budget looks at, such as `dsr_tf.structure.Cost`."""

    @property
    def parameters(self) -> int: ...

    @property
    def macs(self) -> int: ...


def share(scores: ArrayLike, ratio_removed: float) -> np.ndarray:
    """Keep the largest of one set.

    `int(C * (1 - ratio_removed))` of C units are kept, as in the code of the
    papers that give a ratio for each layer, but at least one.

    Args:
        scores: Array `(C,)`, finite.
        ratio_removed: Share of the units that go, in [0, 1).

    Returns:
        Boolean array `(C,)`, True for units that stay.

    Raises:
        ValueError: if an argument is out of range.
    """
    _check_ratio("ratio_removed", ratio_removed)
    size = len(_checked(scores))
    return largest(scores, number_of(size, 1 - ratio_removed))


def number_of(size: int, share_kept: float) -> int:
    """How many units of a set stay: a share, rounded down, at least one."""
    return max(1, int(size * share_kept + _ROUNDING))


def largest(scores: ArrayLike, number: int) -> np.ndarray:
    """Keep so many units of one set, those with the largest scores.

    Args:
        scores: Array `(C,)`, finite.
        number: How many.

    Returns:
        Boolean array `(C,)`.
    """
    scores = _checked(scores)
    kept = np.zeros(len(scores), "bool")
    kept[_descending(scores)[:number]] = True
    return kept


def globally(
    scores: Mapping[str, ArrayLike], ratio: float, least: int = 1
) -> Keep:
    """Keep what lies above one threshold for all sets.

    Network slimming's rule (Liu et al., ICCV 2017): the threshold is entry
    `int(ratio * number of units)` of all scores in ascending order, and what
    is strictly above it stays. So one unit more than the ratio says goes,
    and all units whose scores equal the threshold.

    Args:
        scores: For each set by name, its scores `(num_units,)`, finite.
        ratio: Share of all units that go, in (0, 1).
        least: How many units of each set stay in any case.

    Returns:
        For each set, a boolean array, True for units that stay.

    Raises:
        ValueError: if an argument is out of range.
    """
    checked = _checked_sets(scores)
    _check_ratio("ratio", ratio)
    if ratio == 0:
        raise ValueError("`ratio` must be more than 0. Received: ratio=0")
    _check_count("least", least, 0)
    together = np.sort(np.concatenate(list(checked.values())))
    threshold = together[int(len(together) * ratio + _ROUNDING)]
    return {
        name: above(own, threshold) | largest(own, least)
        for name, own in checked.items()
    }


def above(scores: ArrayLike, threshold: float) -> np.ndarray:
    """Keep what is strictly above a threshold; that may be nothing.

    Args:
        scores: Array `(C,)`, finite.
        threshold: A number.

    Returns:
        Boolean array `(C,)`.
    """
    return _checked(scores) > threshold


def in_proportion(sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Scores with which every set keeps the same share of its units.

    `to_budget` with these finds how many units of each set a network of
    equal shares keeps; which ones another rule may say.

    Args:
        sizes: Number of units of each set.

    Returns:
        For each set, scores that fall from 0: a threshold of -s keeps
        `int(s * num_units)` units.
    """
    return {
        name: -np.arange(1, size + 1) / np.float64(size)
        for name, size in sizes.items()
    }


def to_budget(
    scores: Mapping[str, ArrayLike],
    cost: Callable[[Keep], _Cost],
    parameters: int | None = None,
    macs: int | None = None,
    multiple_of: int = 1,
    least: int = 1,
) -> Keep:
    """Keep as many units as a budget allows, those with the largest scores.

    Units are taken in the order of their scores over all sets together. The
    network that is chosen is not above the budget, and with the next unit of
    this order (with `multiple_of`, the next that changes a number) it would
    be.

    Args:
        scores: For each set by name, its scores `(num_units,)`, finite.
            Sets that are not in it keep all their units.
        cost: Function of a choice that returns its cost, such as
            `dsr_tf.structure.Structure(model).cost`; more units never cost
            less.
        parameters: Number of parameters that are allowed, or None.
        macs: Number of multiply-adds that are allowed, or None. At least
            one of the two must be given.
        multiple_of: Numbers of units are rounded down to multiples of this,
            and not below the smallest multiple that `least` allows. Sets
            that lose no unit stay as they are.
        least: How many units of each set stay in any case.

    Returns:
        For each set, a boolean array, True for units that stay.

    Raises:
        ValueError: if an argument is out of range, or the budget is below
            what the smallest choice costs.
    """
    checked = _checked_sets(scores)
    _check_count("multiple_of", multiple_of, 1)
    _check_count("least", least, 0)
    budget = {"parameters": parameters, "macs": macs}
    budget = {name: n for name, n in budget.items() if n is not None}
    if not budget:
        raise ValueError(
            "At least one of `parameters` and `macs` must be given. "
            "Received: parameters=None and macs=None"
        )
    for name, number in budget.items():
        _check_count(name, number, 1)

    sizes = [len(own) for own in checked.values()]
    owners = np.repeat(np.arange(len(sizes)), sizes)
    order = _descending(np.concatenate(list(checked.values())))

    def choice(num_units: int) -> Keep:
        """What so many units of the order make."""
        taken = np.bincount(owners[order[:num_units]], minlength=len(sizes))
        return {
            name: largest(own, _rounded(n, len(own), multiple_of, least))
            for (name, own), n in zip(checked.items(), taken.tolist())
        }

    def excess(keep: Keep) -> dict[str, int]:
        """What of the budget a choice is above, and what it costs."""
        costs = cost(keep)
        found = {name: getattr(costs, name) for name in budget}
        return {n: c for n, c in found.items() if c > budget[n]}

    for name, number in excess(choice(0)).items():
        raise ValueError(
            f"`{name}` must be at least {number:,}, what the network has with "
            f"the fewest units that are allowed (least={least}, multiple_of="
            f"{multiple_of}). Received: {name}={budget[name]}"
        )
    fits, too_many = 0, len(order) + 1
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        if excess(choice(middle)):
            too_many = middle
        else:
            fits = middle
    return choice(fits)


def _rounded(number: int, size: int, multiple_of: int, least: int) -> int:
    if number >= size:
        return size
    fewest = -(-least // multiple_of) * multiple_of
    return min(size, max(fewest, number // multiple_of * multiple_of))


def _descending(scores: np.ndarray) -> np.ndarray:
    """Places from the largest on; of equal scores the first comes first."""
    return np.argsort(-scores, kind="stable")


def _checked_sets(scores: Mapping[str, ArrayLike]) -> dict[str, np.ndarray]:
    if not scores:
        raise ValueError(
            "`scores` must hold at least one set of channels. Received: "
            "scores={}"
        )
    return {
        name: _checked(own, f"scores of set '{name}'")
        for name, own in scores.items()
    }


def _checked(scores: ArrayLike, name: str = "`scores`") -> np.ndarray:
    array = np.asarray(scores, "float64")
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        raise ValueError(
            f"{name} must be a vector of finite numbers, one a unit. "
            f"Received: {array}"
        )
    return array


def _check_ratio(name: str, ratio: object) -> None:
    if not is_number(ratio) or not 0 <= ratio < 1:
        raise ValueError(
            f"`{name}` must be a number in [0, 1). Received: {name}={ratio!r}"
        )


def _check_count(name: str, number: object, smallest: int) -> None:
    if not is_integer(number) or number < smallest:
        raise ValueError(
            f"`{name}` must be an integer of at least {smallest}. Received: "
            f"{name}={number!r}"
        )
