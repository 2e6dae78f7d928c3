"""One masked kernel during one reallocation, on the host."""

import dataclasses
import functools
from typing import cast

import numpy as np

from dsr_tf.core.draws import distinct
from dsr_tf.core.pattern import Pattern
from dsr_tf.core.room import Room
from dsr_tf.core.room import draw_in_bins
from dsr_tf.core.room import ranks
from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.methods import grow
from dsr_tf.methods.method import Bundles
from dsr_tf.methods.method import KernelView
from dsr_tf.reallocation.record import Moves


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
            that the optimizer has accumulated, or None. Of inactive groups
            that are not stored, those of the gradient itself.
        candidates: Integers in ascending order, ranks among the inactive
            groups (in memory order) of those that have a gradient; None for
            all of them. Of each bin (`Room`) as many as it has slots.
        pruned: Booleans `(num_active_groups,)`, which active groups become
            inactive.
        growable: Integers, ranks among the inactive groups (in memory order)
            of those that the method chooses from; None for all of them. What
            is pruned is not among them.
        grown: Integers, ranks among the inactive groups of those that become
            active.
        start_values: Array `(len(grown),)`, what their weights start from, in
            memory order; None for zeros.
    """

    weight: MaskedWeight
    active: np.ndarray
    scores: np.ndarray
    num_free_groups: int
    start: int
    active_gradients: np.ndarray | None = None
    free_gradients: np.ndarray | None = None
    candidates: np.ndarray | None = None
    pruned: np.ndarray = dataclasses.field(init=False)
    growable: np.ndarray | None = dataclasses.field(init=False, default=None)
    grown: np.ndarray = dataclasses.field(init=False)
    start_values: np.ndarray | None = dataclasses.field(
        init=False, default=None
    )
    _growable_gradients: np.ndarray | None = dataclasses.field(
        init=False, default=None
    )

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
    def room(self) -> Room | None:
        """How many of its groups may be active; None for any number."""
        return self.weight.grouping.room

    @property
    def num_growable_groups(self) -> int:
        """How many groups can become active, when `pruned` no longer are."""
        if self.room is None:
            return self.num_free_groups
        return int(self._num_to_grow(self.room, self.pruned).sum())

    def _num_to_grow(self, room: Room, pruned: np.ndarray) -> np.ndarray:
        places = self.active - self.start
        num_groups = self.weight.grouping.num_groups
        return room.num_to_grow(places, places[pruned], num_groups)

    @property
    def num_growable_anyway(self) -> int:
        """How many groups can become active if none is pruned."""
        if self.room is None:
            return self.num_free_groups
        none = np.zeros_like(self.pruned)
        return int(self._num_to_grow(self.room, none).sum())

    def pruned_without_slot(self) -> np.ndarray:
        """Which of `pruned` free no slot that the kernel can fill."""
        if self.room is None:
            return self.pruned
        return self.room.without_slot(
            self.pruned,
            self.active - self.start,
            self.scores,
            self.weight.grouping.num_groups,
        )

    def find_growable(
        self,
        generator: np.random.Generator,
        gradient_share: float = 1.0,
        draws_alive: bool = False,
    ) -> None:
        """Choose `growable`: groups that there is room for together.

        So a method may choose from them as it likes. Of each bin as many as
        it can grow: those with the largest gradients, or any that have one,
        where these are known, else any.

        Args:
            generator: A `numpy.random.Generator` for this choice alone.
            gradient_share: Where gradients are known, how much of the room
                of a bin is for the largest, rounded up; the rest is for any
                others, and the method sees gradients of 0 there.
            draws_alive: Whether that share is not of the largest, but at
                random of those that are not 0.
        """
        if self.room is None:
            return
        by_gradient = self.free_gradients is not None and gradient_share > 0
        leaves_room = by_gradient and gradient_share < 1
        if self.room.num_bins == 1 and not leaves_room:
            # All that it has room for is what it may choose from.
            if self.candidates is None or not by_gradient:
                return
        num_to_grow = self._num_to_grow(self.room, self.pruned)
        if not by_gradient:
            self.growable = self._draw(num_to_grow, generator)
            return
        num_largest = np.ceil(num_to_grow * gradient_share).astype("int64")
        free_gradients = cast(np.ndarray, self.free_gradients)
        scores = (
            grow.alive_first(free_gradients, 0, generator)
            if draws_alive
            else free_gradients
        )
        largest, gradients = self._largest(num_largest, scores)
        if leaves_room:
            others = self._draw(num_to_grow, generator, largest)
            gradients = np.concatenate([gradients, np.zeros(len(others))])
            largest = np.concatenate([largest, others])
            order = np.argsort(largest)
            largest, gradients = largest[order], gradients[order]
        self.growable, self._growable_gradients = largest, gradients

    def _largest(
        self, counts: np.ndarray, scores: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Ranks of free groups, of each bin so many of the largest scores,
        and their gradients."""
        free, gradients = self.candidates, cast(np.ndarray, self.free_gradients)
        if free is None:
            free = np.arange(self.num_free_groups)
        order = np.argsort(-scores, kind="stable")
        bins = self._bins_of_free(free)[order]
        chosen = np.sort(order[ranks(bins) < counts[bins]])
        return free[chosen], gradients[chosen]

    def _draw(
        self,
        counts: np.ndarray,
        generator: np.random.Generator,
        taken: np.ndarray | None = None,
    ) -> np.ndarray:
        """Ranks of free groups, so many of each bin, any of them.

        Args:
            counts: Integers `(num_bins,)`.
            generator: A `numpy.random.Generator`.
            taken: Ranks of some that count already, in ascending order.
        """
        room = cast(Room, self.room)
        taken = np.zeros(0, "int64") if taken is None else taken
        num_taken = np.bincount(
            self._bins_of_free(taken), minlength=room.num_bins
        )
        size = self.weight.grouping.num_groups // room.num_bins
        num_free = size - room.counts(self.active - self.start) - num_taken
        counts = np.minimum(counts - num_taken, num_free)
        # Where groups are many they are not listed: those of one bin, or of a
        # row, follow each other.
        if room.num_bins == 1:
            drawn = distinct(generator, int(num_free[0]), int(counts[0]))
            return places_of_free(drawn, taken)
        if room.is_by_rows:
            rows, numbers = draw_in_bins(counts, num_free, generator)
            before = np.cumsum(num_free) - num_free
            return places_of_free(before[rows] + numbers, taken)
        free = np.delete(np.arange(self.num_free_groups), taken)
        order = generator.permutation(len(free))
        bins = self._bins_of_free(free)[order]
        return free[np.sort(order[ranks(bins) < counts[bins]])]

    def _bins_of_free(self, free: np.ndarray) -> np.ndarray:
        """Bins of the free groups of these ranks, in ascending order."""
        places = places_of_free(free, self.active, self.start)
        return cast(Room, self.room).bins(places - self.start)

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
        num_free, free_gradients = self.num_free_groups, self.free_gradients
        if self.growable is not None:
            num_free = len(self.growable)
            free_gradients = self._growable_gradients
        return KernelView(
            self.scores,
            num_free,
            self.group_size,
            int(np.count_nonzero(self.pruned)),
            self.active_gradients,
            free_gradients,
            self._bundles(),
            self.num_growable_groups,
            self.weight.grouping.kernel_shape,
        )

    def grow(self, chosen: np.ndarray, start_values: np.ndarray | None) -> None:
        """Let groups become active that a method has chosen of its view."""
        if self.growable is not None:
            chosen = self.growable[chosen]
        self.grown, self.start_values = chosen, start_values

    @functools.cached_property
    def moves(self) -> Moves:
        """Which groups move, once `pruned` and `grown` are settled; places
        are counted from the start of the kernel."""
        return Moves(
            self.active[self.pruned] - self.start,
            places_of_free(self.grown, self.active, self.start) - self.start,
        )


def places_of_free(
    ranks: np.ndarray, active: np.ndarray, start: int = 0
) -> np.ndarray:
    """Where the free places of these ranks are.

    The free place of rank r comes after r other free ones, and after all
    active ones that have at most r free ones before them.

    Args:
        ranks: Integer array, ranks from 0 among the free places.
        active: Integer array, the active places in ascending order.
        start: The first place of all.

    Returns:
        Integer array of places, in ascending order.
    """
    # Neighbours are found together. Of masked kernels, places have 32 bits,
    # which are faster than 64.
    dtype = active.dtype
    ranks = np.sort(ranks.astype(dtype))
    free_before = active - np.arange(start, start + len(active), dtype=dtype)
    return start + ranks + np.searchsorted(free_before, ranks, side="right")
