"""`ages.csv`: how long weights live, as `dsr_tf.training.ages` writes it."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Self

import numpy as np

from dsr_tf.page import logs
from dsr_tf.training.ages import CLASSES


@dataclasses.dataclass(frozen=True)
class Ages:
    """Ages at all reallocations of a run; counts are weights.

    Attributes:
        steps: Integers `(num_reallocations,)`, updates before each.
        classes: Integers `(num_reallocations, num_classes)`, active weights
            by age, of those that a reallocation grew.
        from_start: Integers `(num_reallocations,)`, those that have been
            active from the start.
        paths: The kernels whose weights move.
        grown, pruned_at_once, kernels_from_start: Integers
            `(num_reallocations, num_kernels)`.
        mean_ages: Floats `(num_reallocations, num_kernels)`.
    """

    steps: np.ndarray
    classes: np.ndarray
    from_start: np.ndarray
    paths: tuple[str, ...]
    grown: np.ndarray
    pruned_at_once: np.ndarray
    kernels_from_start: np.ndarray
    mean_ages: np.ndarray

    @classmethod
    def read(cls, path: str | os.PathLike, paths: Sequence[str]) -> Self:
        """Those of a run.

        Raises:
            OSError: if it cannot be opened.
            ValueError: if it is damaged.
        """
        table = logs.read(path)
        own = tuple(name for name in paths if f"grown:{name}" in table)

        def of_kernels(name: str, is_whole: bool = True) -> np.ndarray:
            read = table.wholes if is_whole else table.floats
            columns = [read(f"{name}:{kernel}") for kernel in own]
            return np.array(columns).reshape(len(own), len(table)).T

        if not len(table):
            raise ValueError("it is damaged: it holds no rows")
        return cls(
            steps=np.array(table.wholes("step")),
            classes=np.array([table.wholes(f"age:{n}") for n in CLASSES]).T,
            from_start=np.array(table.wholes("from_start")),
            paths=own,
            grown=of_kernels("grown"),
            pruned_at_once=of_kernels("pruned_at_once"),
            kernels_from_start=of_kernels("from_start"),
            mean_ages=of_kernels("mean_age", is_whole=False),
        )

    @property
    def shares(self) -> list[tuple[str, np.ndarray]]:
        """Shares of the active weights by age, the oldest first, each with
        the name of the class; classes that were always empty are left out."""
        total = np.maximum(1, self.classes.sum(axis=1) + self.from_start)
        named = [("from the start", self.from_start / total)]
        for number in reversed(range(len(CLASSES))):
            if self.classes[:, number].any():
                share = self.classes[:, number] / total
                named.append((class_name(number), share))
        return named

    def pruned_at_once_share(self) -> np.ndarray:
        """Of what the reallocation before grew, the share that each pruned;
        floats `(num_reallocations - 1,)`, NaN where nothing had grown."""
        grown = self.grown[:-1].sum(axis=1)
        pruned = self.pruned_at_once[1:].sum(axis=1)
        return np.divide(
            pruned, grown, out=np.full(len(grown), np.nan), where=grown > 0
        )


def class_name(number: int) -> str:
    """The ages of a class, in words."""
    low = CLASSES[number]
    if low == 0:
        return "just grown"
    if number + 1 == len(CLASSES):
        return f"{low} or more"
    high = CLASSES[number + 1] - 1
    return f"{low}" if high == low else f"{low} to {high}"
