"""The sparsity that a masked layer was given, and that of its masks."""

import math
from collections.abc import Sequence
from typing import Any

from dsr_tf.core import distribution
from dsr_tf.core.granularity import Granularity
from dsr_tf.layers.sparse_variable import SparseVariable


def check(
    sparsity: float | dict[str, float],
    names: Sequence[str],
    granularity: Granularity,
) -> dict[str, float]:
    """The sparsity of each masked weight, by name."""
    if not isinstance(sparsity, dict):
        return dict.fromkeys(names, granularity.check_sparsity(sparsity))
    if set(sparsity) != set(names):
        raise ValueError(
            "`sparsity` must be a number in [0, 1), or a dict with one for "
            f"each of {', '.join(names)}. Received: sparsity={sparsity!r}"
        )
    return {name: granularity.check_sparsity(sparsity[name]) for name in names}


def for_constructor(sparsity: Any, granularity: Granularity) -> Any:
    """What the constructor takes, where a mask has no active group left, or
    pruning has not reached N:M yet."""
    if isinstance(sparsity, dict):
        return {
            name: for_constructor(share, granularity)
            for name, share in sparsity.items()
        }
    sparsity = min(sparsity, math.nextafter(1, 0))
    try:
        return granularity.check_sparsity(sparsity)
    except ValueError:
        return 0.0


def now(weight: SparseVariable, given: float) -> float:
    size, active = weight.grouping.num_groups, weight.num_active_groups()
    if active == distribution.num_active_groups(size, given):
        return given
    return 1 - active / size
