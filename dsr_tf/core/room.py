"""How many groups of a kernel there is room for, where that is limited.

What stores active weights only has a number of slots for them: blocks so
many for each block of outputs, lists so many for the whole kernel. Rules of
reallocation need not know: what they may grow is what has room.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Room:
    """At most `num_slots` active groups in each column of a mask.

    Attributes:
        num_slots: Slots of a column.
        num_columns: Number of columns: group i of the mask, in memory order,
            is in column `i % num_columns`. With one, all share the slots.
    """

    num_slots: int
    num_columns: int = 1

    def counts(self, places: np.ndarray) -> np.ndarray:
        """How many of these places are in each column, `(num_columns,)`."""
        return np.bincount(
            places % self.num_columns, minlength=self.num_columns
        )

    def first_that_fit(self, order: np.ndarray, count: int) -> np.ndarray:
        """The first places that find a slot.

        Args:
            order: Integer array of distinct places, the preferred first.
            count: How many are wanted.

        Returns:
            Integer array of at most `count` of them, in the same order.
        """
        fits = ranks(order % self.num_columns) < self.num_slots
        return order[fits][:count]

    def num_to_grow(
        self, active: np.ndarray, pruned: np.ndarray, num_groups: int
    ) -> np.ndarray:
        """How many groups each column can grow, `(num_columns,)`.

        Args:
            active: Integer array of the active places before pruning.
            pruned: Those of them that are pruned; they do not grow again.
            num_groups: Number of groups of the kernel.
        """
        num_active = self.counts(active)
        empty = self.num_slots - num_active + self.counts(pruned)
        return np.minimum(empty, num_groups // self.num_columns - num_active)

    def limit_pruned(
        self,
        pruned: np.ndarray,
        active: np.ndarray,
        scores: np.ndarray,
        num_groups: int,
    ) -> np.ndarray:
        """The same choice, but of each column no more than are free there.

        So a column can grow as many groups as it loses. Where it would lose
        more, those with the largest scores stay. (Where all share the slots,
        another kernel can grow them.)

        Args:
            pruned: Boolean array `(num_active_groups,)`.
            active: Integer array `(num_active_groups,)` of places.
            scores: Array `(num_active_groups,)`.
            num_groups: Number of groups of the kernel.

        Returns:
            Boolean array `(num_active_groups,)`.
        """
        if self.num_columns == 1:
            return pruned
        free = num_groups // self.num_columns - self.counts(active)
        chosen = np.flatnonzero(pruned)
        chosen = chosen[np.argsort(scores[chosen], kind="stable")]
        columns = active[chosen] % self.num_columns
        limited = np.zeros_like(pruned)
        limited[chosen[ranks(columns) < free[columns]]] = True
        return limited

    def check(self, places: np.ndarray) -> None:
        """Refuse a mask that there are no slots for.

        Raises:
            ValueError: if a column has more active groups than slots.
        """
        most = int(self.counts(places).max(initial=0))
        if most > self.num_slots:
            whole = (
                "a kernel" if self.num_columns == 1 else "a block of outputs"
            )
            raise ValueError(
                f"{whole.capitalize()} may have {self.num_slots} active "
                f"groups here, for there are as many slots. Received: a mask "
                f"with {most} in one"
            )


def ranks(columns: np.ndarray) -> np.ndarray:
    """For each entry, how many before it are equal.

    Args:
        columns: Integer array `(n,)`.

    Returns:
        Integer array `(n,)`.
    """
    order = np.argsort(columns, kind="stable")
    ordered = columns[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    lengths = np.diff(starts, append=len(columns))
    found = np.empty(len(columns), "int64")
    found[order] = np.arange(len(columns)) - np.repeat(starts, lengths)
    return found
