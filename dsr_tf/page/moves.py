"""`reallocations.csv`: how weights moved, and between which kernels."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Self

import numpy as np

from dsr_tf.page import logs


@dataclasses.dataclass(frozen=True)
class Moves:
    """All reallocations of a run; counts are weights.

    Attributes:
        steps: Integers `(num_reallocations,)`, updates before each.
        thresholds: Floats, of the magnitudes; NaN where there was none.
        pruned, grown, active: Integers `(num_reallocations, num_kernels)`;
            `active` is afterwards.
        paths: The kernels, in the order of the network.
        sizes: Integers `(num_kernels,)`, all weights of each.
    """

    steps: np.ndarray
    thresholds: np.ndarray
    pruned: np.ndarray
    grown: np.ndarray
    active: np.ndarray
    paths: tuple[str, ...]
    sizes: np.ndarray

    @classmethod
    def read(
        cls, path: str | os.PathLike, kernels: Mapping[str, tuple[int, int]]
    ) -> Self:
        """Those of a run.

        Args:
            path: The file.
            kernels: Dict from the path of a kernel to its number of weights,
                and how many are active at the end; frozen ones, which are
                not in the table, have always been so many.

        Raises:
            OSError: if it cannot be opened.
            ValueError: if a row is missing, not whole or not possible.
        """
        table = logs.read(path)
        steps = np.array(table.wholes("step"))
        if not len(steps) or (np.diff(steps) <= 0).any():
            raise ValueError(
                "it is damaged: it must hold rows in order of steps"
            )
        arrays = {}
        for name in ("pruned", "grown", "active"):
            columns = []
            for kernel, (size, active) in kernels.items():
                column = f"{name}:{kernel}"
                if f"active:{kernel}" in table:
                    # Single weights may move to and back within a period.
                    limit = size if name == "active" else 2**53
                    columns.append(table.wholes(column, limit))
                else:
                    constant = active if name == "active" else 0
                    columns.append([constant] * len(steps))
            arrays[name] = np.array(columns, "int64").T
        return cls(
            steps=steps,
            thresholds=np.array(table.floats("threshold")),
            paths=tuple(kernels),
            sizes=np.array([size for size, _ in kernels.values()]),
            **arrays,
        )

    @property
    def net(self) -> np.ndarray:
        """Weights that kernels gained, below 0 where they lost."""
        return self.grown - self.pruned

    @property
    def at_start(self) -> np.ndarray:
        """Active weights of each kernel before the first reallocation."""
        return self.active[0] - self.net[0]

    @property
    def densities(self) -> np.ndarray:
        """Active shares `(num_reallocations, num_kernels)`."""
        return self.active / self.sizes

    @property
    def densities_at_start(self) -> np.ndarray:
        """Active shares `(num_kernels,)` before the first reallocation."""
        return self.at_start / self.sizes

    @property
    def between_kernels(self) -> np.ndarray:
        """How many weights each reallocation moved from kernel to kernel:
        what some lost that others gained."""
        return np.minimum(
            self.net.clip(min=0).sum(axis=1), (-self.net).clip(min=0).sum(1)
        )


def ribbons(
    change: np.ndarray,
) -> list[tuple[int, int, float]]:
    """From where to where weights went, by how many each kernel has now.

    Weights that are pruned go to one heap, from which others grow, so who
    gained got from all that lost in proportion.

    Args:
        change: Numbers `(num_kernels,)`, what each gained or lost.

    Returns:
        List of (from, to, number of weights), numbers of kernels.
    """
    gains, losses = change.clip(min=0), (-change).clip(min=0)
    total = max(gains.sum(), losses.sum())
    return [
        (int(i), int(j), float(losses[i] * gains[j] / total))
        for i in np.flatnonzero(losses)
        for j in np.flatnonzero(gains)
    ]
