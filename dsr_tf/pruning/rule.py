"""What a rule of pruning is: when it prunes, and which groups it keeps."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from dsr_tf.core.grouping import Grouping
from dsr_tf.core.pattern import Pattern
from dsr_tf.layers.masked_weights import MaskedWeight


@dataclasses.dataclass(frozen=True, eq=False)
class Candidate:
    """A kernel as a rule sees it.

    Attributes:
        path: That of the `MaskedWeight`.
        weights: Array `(num_groups, group_size)`, 0 where inactive.
        active: Booleans `(num_groups,)`.
        remembered: What the rule kept of this kernel when it last pruned, a
            float32; 0 at the start.
        pattern: Of a granularity N:M, or None.
    """

    path: str
    weights: np.ndarray
    active: np.ndarray
    remembered: np.float32
    pattern: Pattern | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Kept:
    """What stays of a kernel.

    Attributes:
        mask: Booleans `(num_groups,)`, False wherever a group is inactive
            and True somewhere.
        threshold: Magnitude up to which groups were pruned, or None.
        remembered: What to keep for the next pruning, see `Candidate`; None
            for nothing.
    """

    mask: np.ndarray
    threshold: float | None = None
    remembered: np.float32 | None = None


class Rule:
    """Base of the rules of pruning.

    Attributes:
        memory: Name of the variable of a layer (`kept_state`), one number
            for each masked weight, that holds what it remembers; None for a
            rule that remembers nothing.
    """

    memory: ClassVar[str | None] = None

    def check(self, weights: Sequence[MaskedWeight]) -> None:
        """Refuse kernels that the rule cannot prune.

        Args:
            weights: All `MaskedWeight` of a model that are trained.

        Raises:
            ValueError: if there is such a one.
        """

    def grouping(self, weight: MaskedWeight) -> Grouping:
        """What is pruned as one, by default what the mask governs as one."""
        return weight.grouping

    def is_due(self, step: int, last_step: int) -> bool:
        """Whether to prune after `step` updates, the last pruning having
        been at `last_step`, 0 for none."""
        raise NotImplementedError

    def next_due(self, step: int, last_step: int) -> int | None:
        """The first update after `step` at which to prune, None for none."""
        raise NotImplementedError

    def keep(self, kernel: Candidate, step: int) -> Kept | None:
        """What stays of a kernel after `step` updates; None for all."""
        raise NotImplementedError

    def why_not_due(self) -> str:
        """When prunings are due, to say where none was."""
        raise NotImplementedError

    def unfinished(self, last_step: int) -> str | None:
        """What its schedule had ahead, where one has an aim.

        Args:
            last_step: The update after which was pruned last.

        Returns:
            When that was and when the schedule ends; None where nothing is
            missing.
        """
        return None

    def why_in_vain(self, step: int) -> str:
        """Why prunings up to `step` may have found nothing to prune."""
        raise NotImplementedError
