"""How many weights were active while a run was under way, by its table."""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Self

from dsr_tf.layers.summary import SparsitySummary


@dataclasses.dataclass(frozen=True)
class BudgetLog:
    """What `reallocations.csv` says of the budget.

    Attributes:
        at_start: Active weights of each masked kernel before step 0, a dict
            by path.
        largest: The largest number of active weights in masked kernels at
            any time: at the start, or after some reallocation.
    """

    at_start: Mapping[str, int]
    largest: int

    @classmethod
    def of(
        cls, rows: Sequence[Mapping[str, str]], sparsity: SparsitySummary
    ) -> Self:
        """Read off the rows of a run's table.

        Args:
            rows: All rows of `reallocations.csv`, of `str`.
            sparsity: What is active now, after the last of them.
        """
        at_start = {
            layer.path: _before(rows[0], layer.path)
            if rows and f"active:{layer.path}" in rows[0]
            else layer.num_active
            for layer in sparsity.layers
        }
        # Frozen kernels are not in the table, and stay as they are.
        totals = (
            sum(int(row.get(f"active:{p}", n)) for p, n in at_start.items())
            for row in rows
        )
        return cls(at_start, max([sum(at_start.values()), *totals]))


def _before(row: Mapping[str, str], path: str) -> int:
    active, pruned, grown = (
        int(row[f"{name}:{path}"]) for name in ("active", "pruned", "grown")
    )
    return active + pruned - grown
