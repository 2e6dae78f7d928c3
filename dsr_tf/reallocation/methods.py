"""Each published method as one choice of prune, redistribute and grow."""

import abc
import dataclasses
import math

import numpy as np

from dsr_tf.checks import is_integer
from dsr_tf.checks import is_number
from dsr_tf.reallocation import grow
from dsr_tf.reallocation import prune
from dsr_tf.reallocation import redistribute

# Thresholds stay within 2**100 times the initial one, far outside of any
# weight, so that a model whose weights are all 0 cannot run it to infinity.
_MAX_EXPONENT = 100


@dataclasses.dataclass(frozen=True)
class KernelView:
    """What a method sees of one kernel; groups are those of its mask.

    Attributes:
        scores: Array `(num_active_groups,)`, float32: mean magnitude of the
            weights of each active group, in memory order.
        num_free: Number of inactive groups.
        group_size: Weights a group.
        num_pruned: Groups chosen for pruning, once that is decided.
    """

    scores: np.ndarray
    num_free: int
    group_size: int
    num_pruned: int = 0

    @property
    def num_active(self):
        return len(self.scores)


class Method(abc.ABC):
    """Base of all methods: prune somehow, regrow at random in place.

    The reallocator sees to the budget, the last group of a kernel, zeros
    and optimizer slots; a method only chooses.
    """

    moves_weights = True

    def validate(self, num_active):
        """Refuse a model whose number of active weights does not fit."""

    def threshold(self, state):
        """The magnitude below which weights are pruned, None if there is
        no such number."""
        return None

    @abc.abstractmethod
    def prune(self, kernels, state):
        """Choose what becomes inactive.

        Args:
            kernels: List of `KernelView`.
            state: The `ReallocationState` before this step.

        Returns:
            One boolean array `(num_active_groups,)` a kernel.
        """

    def redistribute(self, total, kernels):
        """Choose how many groups each kernel grows.

        Args:
            total: Number of weights to grow.
            kernels: List of `KernelView`, with `num_pruned` filled in.

        Returns:
            Number of groups, one a kernel, at most `num_free` each.
        """
        return redistribute.where_pruned(
            total,
            [k.num_pruned * k.group_size for k in kernels],
            [k.num_free for k in kernels],
            [k.group_size for k in kernels],
        )

    def grow(self, kernel, num_grown, generator):
        """Choose which free groups of one kernel become active.

        Returns:
            Integer array `(num_grown,)`, indices below `kernel.num_free`.
        """
        return grow.at_random(kernel.num_free, num_grown, generator)

    def update(self, state, num_below):
        """Change the method's part of `state` after a step.

        Args:
            state: The `ReallocationState`, to be changed in place.
            num_below: Number of weights that `prune` chose.
        """


@dataclasses.dataclass(frozen=True)
class Static(Method):
    """Fixed random sparsity: weights never move (the paper's baseline)."""

    moves_weights = False

    def prune(self, kernels, state):
        return [prune.none(kernel.scores) for kernel in kernels]


@dataclasses.dataclass(frozen=True)
class SET(Method):
    """Sparse evolutionary training (Mocanu et al., 2018).

    Prunes the same fraction of the active weights of every kernel, the
    smallest, and grows as many in the same kernel at random: the number of
    active weights of a kernel never changes. As in the DSR authors' code
    there is no split by sign. A kernel that is nearly full moves no more
    than it has room for.

    Args:
        fraction: Share of the active weights to move in a step, in (0, 1).

    Raises:
        ValueError: if `fraction` is out of range.
    """

    fraction: float = 0.3

    def __post_init__(self):
        if not is_number(self.fraction) or not 0 < self.fraction < 1:
            raise ValueError(
                "`fraction` must be a number in (0, 1). Received: "
                f"fraction={self.fraction!r}"
            )

    def prune(self, kernels, state):
        return [
            prune.smallest(
                kernel.scores,
                min(round(self.fraction * kernel.num_active), kernel.num_free),
            )
            for kernel in kernels
        ]


@dataclasses.dataclass(frozen=True)
class DSR(Method):
    """Dynamic sparse reparameterization (Mostafa & Wang, ICML 2019).

    Prunes all weights below one threshold for the whole model and grows as
    many at random, in each kernel in proportion to what survived in it
    (Algorithm 1). After each step the threshold is doubled where fewer than
    `(1 - tolerance) * num_reallocated` weights were below it and halved
    where more than `(1 + tolerance) * num_reallocated` were.

    Args:
        num_reallocated: K, the number of weights to move in a step.
        tolerance: delta, how far from K is near enough, in [0, 1).
        initial_threshold: H at the start, a positive magnitude.

    Raises:
        ValueError: if an argument is out of range.
    """

    num_reallocated: int = 600
    tolerance: float = 0.1
    initial_threshold: float = 1e-3

    def __post_init__(self):
        k, delta, h = dataclasses.astuple(self)
        if not is_integer(k) or k < 1:
            raise ValueError(
                "`num_reallocated` must be a positive integer, the number "
                "of weights to move in a reallocation. Received: "
                f"num_reallocated={k!r}"
            )
        if not is_number(delta) or not 0 <= delta < 1:
            raise ValueError(
                "`tolerance` must be a number in [0, 1). Received: "
                f"tolerance={delta!r}"
            )
        if not is_number(h) or not 0 < h < math.inf:
            raise ValueError(
                "`initial_threshold` must be a positive number. Received: "
                f"initial_threshold={h!r}"
            )

    def validate(self, num_active):
        if self.num_reallocated >= num_active:
            raise ValueError(
                "`num_reallocated` must be smaller than the number of active "
                f"weights, {num_active}. Received: num_reallocated="
                f"{self.num_reallocated}"
            )

    def threshold(self, state):
        return math.ldexp(self.initial_threshold, state.threshold_exponent)

    def prune(self, kernels, state):
        threshold = self.threshold(state)
        return [prune.below(kernel.scores, threshold) for kernel in kernels]

    def redistribute(self, total, kernels):
        return redistribute.to_survivors(
            total,
            [(k.num_active - k.num_pruned) * k.group_size for k in kernels],
            [k.num_free for k in kernels],
            [k.group_size for k in kernels],
        )

    def update(self, state, num_below):
        exponent = state.threshold_exponent
        if num_below < (1 - self.tolerance) * self.num_reallocated:
            exponent += 1
        elif num_below > (1 + self.tolerance) * self.num_reallocated:
            exponent -= 1
        state.threshold_exponent = max(
            -_MAX_EXPONENT, min(_MAX_EXPONENT, exponent)
        )
