"""How many groups of a kernel there is room for, where that is limited.

What stores active weights only has a number of slots for them: blocks so
many for each block of outputs, rows so many for each row of a table. What has
slots of its own is called a bin. Rules of reallocation need not know: what
they may grow is what has room.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Room:
    """At most `num_slots` active groups in each bin of a mask.

    Attributes:
        num_slots: Slots of a bin.
        num_bins: Number of bins. With one, all share the slots.
        run: How many groups that follow each other in memory order are in
            the same bin: group i is in bin `i // run % num_bins`. 1 where
            bins are the columns of the mask, all of a row where they are
            its rows.
    """

    num_slots: int
    num_bins: int = 1
    run: int = 1

    @property
    def is_by_rows(self) -> bool:
        """Whether bins are the rows of a table: many, of many groups each.

        All of its groups are never listed then.
        """
        return self.num_bins > 1 and self.run > 1

    def bins(self, places: np.ndarray) -> np.ndarray:
        """In which bin each of these places is, integers of that shape."""
        return places // self.run % self.num_bins

    def places(self, bins: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Where groups are, by their bins and their numbers in these.

        Args:
            bins, numbers: Integer arrays of one shape; the groups of a bin
                are numbered in memory order.
        """
        runs, rest = np.divmod(numbers, self.run)
        return (runs * self.num_bins + bins) * self.run + rest

    def counts(self, places: np.ndarray) -> np.ndarray:
        """How many of these places are in each bin, `(num_bins,)`."""
        return np.bincount(self.bins(places), minlength=self.num_bins)

    def first_that_fit(self, order: np.ndarray, count: int) -> np.ndarray:
        """The first places that find a slot.

        Args:
            order: Integer array of distinct places, the preferred first.
            count: How many are wanted.

        Returns:
            Integer array of at most `count` of them, in the same order.
        """
        fits = ranks(self.bins(order)) < self.num_slots
        return order[fits][:count]

    def num_to_grow(
        self, active: np.ndarray, pruned: np.ndarray, num_groups: int
    ) -> np.ndarray:
        """How many groups each bin can grow, `(num_bins,)`.

        Args:
            active: Integer array of the active places before pruning.
            pruned: Those of them that are pruned; they do not grow again.
            num_groups: Number of groups of the kernel.
        """
        num_active = self.counts(active)
        empty = self.num_slots - num_active + self.counts(pruned)
        return np.minimum(empty, num_groups // self.num_bins - num_active)

    def without_slot(
        self,
        pruned: np.ndarray,
        active: np.ndarray,
        scores: np.ndarray,
        num_groups: int,
    ) -> np.ndarray:
        """Which of the pruned others must have room for.

        A group that is pruned frees a slot, and its bin grows another there
        as long as it has free ones: beyond those that can grow anyway.

        Args:
            pruned: Boolean array `(num_active_groups,)`.
            active: Integer array `(num_active_groups,)` of places.
            scores: Array `(num_active_groups,)`.
            num_groups: Number of groups of the kernel.

        Returns:
            Boolean array `(num_active_groups,)`: those with the largest
            scores.
        """
        free = num_groups // self.num_bins - self.counts(active)
        own = free - self.num_to_grow(active, active[:0], num_groups)
        chosen = np.flatnonzero(pruned)
        chosen = chosen[np.argsort(scores[chosen], kind="stable")]
        bins = self.bins(active[chosen])
        found = np.zeros_like(pruned)
        found[chosen[ranks(bins) >= own[bins]]] = True
        return found

    def check_slots(self, num_slots: int, num_groups: int) -> None:
        """Refuse more slots of a bin than it has groups.

        Args:
            num_slots: Slots of a bin, any number.
            num_groups: Number of groups of the kernel.

        Raises:
            ValueError: if there are more.
        """
        most = num_groups // self.num_bins
        if num_slots > most:
            raise ValueError(
                f"`num_slots` must be at most {most}, the number of groups of "
                f"{self.bin_name}. Received: num_slots={num_slots}"
            )

    def check_number(self, num_active_groups: int) -> None:
        """Refuse more active groups than there are slots.

        Raises:
            ValueError: if there are more.
        """
        if num_active_groups > self.num_slots * self.num_bins:
            needed = -(-num_active_groups // self.num_bins)
            times = f" in {self.num_bins} times as many slots"
            raise ValueError(
                f"`num_slots` must be at least {needed} for "
                f"{num_active_groups} active groups"
                f"{times if self.num_bins > 1 else ''}. Received: "
                f"num_slots={self.num_slots}"
            )

    def check(self, places: np.ndarray) -> None:
        """Refuse a mask that there are no slots for.

        Raises:
            ValueError: if a bin has more active groups than slots.
        """
        most = int(self.counts(places).max(initial=0))
        if most > self.num_slots:
            raise ValueError(
                f"{self.bin_name.capitalize()} may have {self.num_slots} "
                "active groups here, for there are as many slots. Received: a "
                f"mask with {most} in one"
            )

    @property
    def bin_name(self) -> str:
        """What a bin is, in words."""
        if self.num_bins == 1:
            return "a kernel"
        return "a row" if self.is_by_rows else "a block of outputs"


def ranks(bins: np.ndarray) -> np.ndarray:
    """For each entry, how many before it are equal.

    Args:
        bins: Integer array `(n,)`.

    Returns:
        Integer array `(n,)`.
    """
    order = np.argsort(bins, kind="stable")
    ordered = bins[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    lengths = np.diff(starts, append=len(bins))
    found = np.empty(len(bins), "int64")
    found[order] = np.arange(len(bins)) - np.repeat(starts, lengths)
    return found


def draw_in_bins(
    counts: np.ndarray, sizes: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw some of the members of each bin, every set being equally likely.

    By Floyd's algorithm (Bentley & Floyd, 1987, "A sample of brilliance"), in
    all bins at once: time and memory go with what is drawn, not with what
    it is drawn from.

    Args:
        counts: Integer array `(num_bins,)`, how many to draw of each bin.
        sizes: Integer array `(num_bins,)`, how many it has: at least these.
        generator: A `numpy.random.Generator`.

    Returns:
        Two integer arrays `(sum of counts,)`, in ascending order of both: the
        bin of each that is drawn, and its number in the bin, from 0.
    """
    bins = np.flatnonzero(counts)
    counts = counts[bins]
    first_drawn = sizes[bins] - counts
    nothing = np.iinfo("int64").max
    drawn = np.full((len(bins), counts.max(initial=0)), nothing)
    for i in range(drawn.shape[1]):
        rows = np.flatnonzero(counts > i)
        largest = first_drawn[rows] + i
        number = generator.integers(0, largest, endpoint=True)
        is_taken = (drawn[rows, :i] == number[:, None]).any(axis=1)
        drawn[rows, i] = np.where(is_taken, largest, number)
    drawn.sort(axis=1)
    return np.repeat(bins, counts), drawn[drawn < nothing]
