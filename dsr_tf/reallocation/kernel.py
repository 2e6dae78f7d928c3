"""One masked kernel during one reallocation, on the host."""

import dataclasses
import functools
from typing import cast

import numpy as np

from dsr_tf.core.pattern import Pattern
from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.methods.method import Bundles
from dsr_tf.methods.method import KernelView


@dataclasses.dataclass
class Kernel:
    """What is known of a kernel, and which of its groups move.

    Attributes:
        weight: The `MaskedWeight`.
        active: Integers `(num_active_groups,)`, places of the active groups, in
            memory order, counted over all kernels.
        scores: Array `(num_active_groups,)`, float32: mean magnitude of each
            active group.
        num_free_groups: Number of inactive groups.
        start: The first place of the kernel.
        active_gradients, free_gradients: Mean magnitudes of the gradients
            that the optimizer has accumulated, or None.
        pruned: Booleans `(num_active_groups,)`, which active groups become
            inactive.
        grown: Integers, ranks among the inactive groups (in memory order)
            of those that become active. What is pruned is not among them.
    """

    weight: MaskedWeight
    active: np.ndarray
    scores: np.ndarray
    num_free_groups: int
    start: int
    active_gradients: np.ndarray | None = None
    free_gradients: np.ndarray | None = None
    pruned: np.ndarray = dataclasses.field(init=False)
    grown: np.ndarray = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.pruned = np.zeros(len(self.scores), "bool")
        self.grown = np.zeros(0, "int64")

    @functools.cached_property
    def slots(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Where the active groups, and the others, are in the bundles of a
        granularity N:M, see `Bundles`; None at others."""
        pattern = self.weight.grouping.pattern
        if pattern is None:
            return None
        slots = pattern.slots()
        is_active = np.zeros(len(slots), "bool")
        is_active[self.active - self.start] = True
        return slots[is_active], slots[~is_active]

    def counts_in_bundles(self, slots: np.ndarray) -> np.ndarray:
        """How many of these slots are in each bundle, `(num_bundles,)`."""
        pattern = cast(Pattern, self.weight.grouping.pattern)
        return np.bincount(
            slots // pattern.bundle_size, minlength=pattern.num_bundles
        )

    def _bundles(self) -> Bundles | None:
        pattern = self.weight.grouping.pattern
        if self.slots is None or pattern is None:
            return None
        active, free = self.slots
        num_pruned = self.counts_in_bundles(active[self.pruned])
        return Bundles(pattern.bundle_size, active, free, num_pruned)

    @property
    def path(self) -> str:
        return self.weight.path

    @property
    def group_size(self) -> int:
        return self.weight.group_size

    @property
    def num_active_weights(self) -> int:
        """Active weights before the step."""
        return len(self.scores) * self.group_size

    @property
    def num_pruned_weights(self) -> int:
        """Weights that become inactive."""
        return int(np.count_nonzero(self.pruned)) * self.group_size

    @property
    def num_grown_weights(self) -> int:
        """Weights that become active."""
        return len(self.grown) * self.group_size

    def view(self) -> KernelView:
        """What the method sees."""
        return KernelView(
            self.scores,
            self.num_free_groups,
            self.group_size,
            int(np.count_nonzero(self.pruned)),
            self.active_gradients,
            self.free_gradients,
            self._bundles(),
        )
