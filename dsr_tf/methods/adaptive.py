"""The rules of all methods, each to be chosen by itself."""

import dataclasses
from typing import Any
from typing import Self
from typing import cast

import numpy as np

from dsr_tf.core.checks import is_number
from dsr_tf.methods import floors
from dsr_tf.methods import grow
from dsr_tf.methods import prune
from dsr_tf.methods import redistribute
from dsr_tf.methods.annealed import Annealed
from dsr_tf.methods.method import KernelView

SCOPES = ("model", "lamp", "kernel")
REDISTRIBUTIONS = ("survivors", "momentum", "pruned")


@dataclasses.dataclass(frozen=True)
class Adaptive(Annealed):
    """Moves an exact and falling share of the weights, where they do most.

    Which weights go, where growth goes and which weights grow are choices
    that do not depend on each other. DSR, SET, RigL and SNFS are four of
    their combinations. The defaults did about as well as the best of all
    that were tried on LeNet-300-100, WRN-28-2 and a ConvMixer, from a
    uniform start too (docs/results.md).

    Args:
        fraction: Share of the active weights to move at the start, in
            (0, 1).
        end_step: Update from which nothing moves; the share falls to 0
            there along a cosine, as in RigL. `"auto"` is after three
            quarters of the training; None keeps the share constant.
        start_step: The update at which it begins to fall.
        scope: Of what the smallest weights go: of the whole `"model"`, as in
            DSR, but an exact number in place of a threshold that adapts; of
            the model by scores that do not depend on how large weights of a
            kernel are in the mean, `"lamp"` (`prune.lamp_scores`); or of each
            `"kernel"`, as in SET.
        redistribution: Where the growth goes: to kernels in proportion to
            their `"survivors"`, as in DSR; to the mean `"momentum"` of their
            active weights, as in SNFS, of an optimizer that keeps one; or
            where it was `"pruned"`.
        growth: Which weights grow in a kernel: `"random"`, as in DSR and SET;
            `"alive"`, at random among those that a gradient reaches in the
            step before (of a table, those of the words of one batch);
            `"gradient"`, those of the largest gradients there,
            as in RigL; or `"half"`, half so and half at random. At a density
            of 0.01 the last two can blow up behind normalization.
        floor: The part of what a start by ERK would give it that a kernel
            has at least, in [0, 1], where growth goes to others: one with no
            more loses the share that all lose, and grows as many again, or
            up to there. 0 lets kernels be drained.

    Raises:
        ValueError: if an argument is out of range.
    """

    scope: str = "model"
    redistribution: str = "survivors"
    growth: str = grow.ALIVE
    floor: float = 0.5

    flag_name = "adaptive"
    keeps_patterns = True
    default_end = 3 / 4

    @classmethod
    def from_settings(
        cls, settings: Any, num_active: int, steps_per_epoch: int
    ) -> Self:
        method = super().from_settings(settings, num_active, steps_per_epoch)
        return dataclasses.replace(
            method,
            scope=settings.scope or cls.scope,
            redistribution=settings.redistribution or cls.redistribution,
            growth=settings.growth or cls.growth,
            floor=cls.floor if settings.floor is None else settings.floor,
        )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_growth()
        if not is_number(self.floor) or not 0 <= self.floor <= 1:
            raise ValueError(
                "`floor` must be a number in [0, 1]: a part of what ERK gives "
                f"a kernel. Received: floor={self.floor!r}"
            )
        for name, names in (
            ("scope", SCOPES),
            ("redistribution", REDISTRIBUTIONS),
        ):
            if getattr(self, name) not in names:
                raise ValueError(
                    f"`{name}` must be one of {', '.join(names)}. Received: "
                    f"{name}={getattr(self, name)!r}"
                )

    @property
    def _floor(self) -> float:
        # Where growth goes where it was pruned, nothing is drained.
        return 0.0 if self.redistribution == "pruned" else self.floor

    @property
    def reads_momentum(self) -> bool:
        return self.redistribution == "momentum"

    def prune(
        self, kernels: list[KernelView], state: Any, step: int
    ) -> list[np.ndarray]:
        fraction = self.fraction_at(step)
        if self.scope == "kernel":
            return [kernel.smallest(fraction) for kernel in kernels]
        sharing = [kernel for kernel in kernels if kernel.bundles is None]
        of_all = iter(
            prune.smallest_of_all(
                [self.comparable_scores(kernel) for kernel in sharing],
                [kernel.group_size for kernel in sharing],
                fraction,
                floors.most_to_go(self._floor, fraction, sharing),
            )
        )
        # A bundle of N:M grows what it loses, so each kernel is for itself.
        return [
            kernel.smallest(fraction) if kernel.bundles else next(of_all)
            for kernel in kernels
        ]

    def comparable_scores(self, kernel: KernelView) -> np.ndarray:
        if self.scope == "lamp":
            return prune.lamp_scores(kernel.scores, kernel.group_size)
        return kernel.scores

    def redistribute(self, total: int, kernels: list[KernelView]) -> list[int]:
        if self.redistribution == "pruned":
            return super().redistribute(total, kernels)
        sizes = [kernel.group_size for kernel in kernels]
        survivors = [kernel.num_surviving_weights for kernel in kernels]
        capacities = [kernel.num_growable_groups for kernel in kernels]
        first = floors.missing(self._floor, total, kernels)
        total -= sum(n * size for n, size in zip(first, sizes))
        capacities = [c - n for c, n in zip(capacities, first)]
        if self.redistribution == "survivors":
            then = redistribute.to_survivors(
                total, survivors, capacities, sizes
            )
        else:
            momenta = [cast(np.ndarray, k.active_gradients) for k in kernels]
            then = redistribute.by_momentum(total, momenta, capacities, sizes)
        return [a + b for a, b in zip(first, then)]
