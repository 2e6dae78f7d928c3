"""What one change of the masks of a model did, for those who listen."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Moves:
    """Which groups of a kernel a change moved.

    Attributes:
        pruned: Ascending integers, places of the groups that became
            inactive, in memory order, as `SparseVariable.places` has them.
        grown: Those that became active.
    """

    pruned: np.ndarray
    grown: np.ndarray


@dataclasses.dataclass(frozen=True)
class Record:
    """What one reallocation did; counts are weights.

    Attributes:
        step: `optimizer.iterations` when it happened.
        threshold: Magnitude below which weights were pruned, or None.
        pruned: Weights pruned, by path of the kernel.
        grown: Weights grown, by path of the kernel.
        active: Active weights afterwards, by path of the kernel.
        carry: Weights of the budget left over, see `ReallocationState`.
        moves: `Moves` of all kernels that may move, by path. None where
            weights moved inside of training steps, which count how many do
            and do not say which.
    """

    step: int
    threshold: float | None
    pruned: dict[str, int]
    grown: dict[str, int]
    active: dict[str, int]
    carry: int
    moves: dict[str, Moves] | None = dataclasses.field(
        default=None, compare=False, repr=False
    )

    @property
    def num_pruned(self) -> int:
        return sum(self.pruned.values())

    @property
    def num_grown(self) -> int:
        return sum(self.grown.values())

    @property
    def num_active(self) -> int:
        return sum(self.active.values())
