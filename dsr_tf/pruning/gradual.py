"""Gradual magnitude pruning: as many as a schedule of sparsity says."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from dsr_tf.core import granularity
from dsr_tf.core.grouping import Grouping
from dsr_tf.core.pattern import Pattern
from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.pruning import magnitude
from dsr_tf.pruning import patterns
from dsr_tf.pruning.hyperparameters import PruningHyperparameters
from dsr_tf.pruning.rule import Candidate
from dsr_tf.pruning.rule import Kept
from dsr_tf.pruning.rule import Rule

# Schedules are flat at their end: often the last pruning is a little before
# it, with nothing left that shows in three digits.
_NEARLY = 5e-4


@dataclasses.dataclass(frozen=True)
class Gradual(Rule):
    """The rule of Zhu & Gupta (2017), with the options of tf.contrib.

    Args:
        settings: `PruningHyperparameters`.
    """

    # A threshold that lags behind, where there is one.
    memory = "pruning_threshold"

    settings: PruningHyperparameters

    def check(self, weights: Sequence[MaskedWeight]) -> None:
        for weight in weights:
            self.grouping(weight)
            self.settings.sparsity_of(weight.path, 0)
            patterns.check(weight, self.settings)

    def grouping(self, weight: MaskedWeight) -> Grouping:
        """Blocks where wanted, else what the mask governs as one."""
        height, width = self.settings.block_height, self.settings.block_width
        shape = tuple(weight.kernel.shape)
        if height * width == 1 or len(shape) != 2:
            return weight.grouping
        if weight.group_size != 1 or weight.grouping.pattern is not None:
            raise ValueError(
                f"`block_height` and `block_width` of {height} and {width} "
                "need masks of granularity 'element'. Received: granularity="
                f"{weight.granularity!r} for {weight.path}"
            )
        return granularity.get(f"block:{height}x{width}").grouping(shape)

    def is_due(self, step: int, last_step: int) -> bool:
        return self.settings.is_due(step, last_step)

    def next_due(self, step: int, last_step: int) -> int | None:
        return self.settings.next_due(step, last_step)

    def keep(self, kernel: Candidate, step: int) -> Kept:
        settings = self.settings
        scores = magnitude.pool(kernel.weights, settings.block_pooling_function)
        sparsity = settings.sparsity_of(kernel.path, step)
        if kernel.pattern is not None:
            return Kept(self._of_each(kernel, kernel.pattern, scores, sparsity))
        if not settings.threshold_decay:
            return Kept(magnitude.largest(scores, kernel.active, sparsity))
        mask, threshold = magnitude.above_smoothed_threshold(
            scores,
            kernel.active,
            sparsity,
            kernel.remembered,
            settings.threshold_decay,
        )
        return Kept(mask, remembered=threshold)

    def why_not_due(self) -> str:
        settings = self.settings
        end = settings.end_pruning_step
        until = f" up to update {end}" if end >= 0 else ""
        return (
            f"from update {settings.begin_pruning_step} on, every "
            f"{settings.pruning_frequency} updates{until}"
        )

    def unfinished(self, last_step: int) -> str | None:
        settings = self.settings
        reached = settings.sparsity_at(last_step)
        if settings.target_sparsity - reached < _NEARLY:
            return None
        return (
            f"the last pruning, after update {last_step}, was to a sparsity "
            f"of {reached:.3f}, and the schedule takes until update "
            f"{settings.sparsity_function_end_step} to reach "
            f"{settings.target_sparsity:g}"
        )

    def why_in_vain(self, step: int) -> str:
        sparsity = self.settings.sparsity_at(step)
        return f"the sparsity of its schedule is {sparsity:.4g} there"

    def _of_each(
        self,
        kernel: Candidate,
        pattern: Pattern,
        scores: np.ndarray,
        sparsity: float,
    ) -> np.ndarray:
        """The mask of a kernel of granularity N:M."""
        mask = magnitude.largest_of_each(
            pattern.bundles(scores),
            pattern.bundles(kernel.active),
            sparsity,
            pattern.num_active,
        )
        return pattern.unbundle(mask).reshape(-1)
