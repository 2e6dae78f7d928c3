"""What a method of reallocation is: a choice of prune, redistribute, grow."""

import abc
import dataclasses
from typing import Any
from typing import ClassVar
from typing import Self

import keras
import numpy as np

from dsr_tf.layers.kept_state import KeepsIntegers
from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.methods import grow
from dsr_tf.methods import prune
from dsr_tf.methods import redistribute
from dsr_tf.methods.hook import InStepHook
from dsr_tf.methods.hook import NoHook


@dataclasses.dataclass(frozen=True)
class Bundles:
    """Where the groups of a kernel of granularity N:M are in bundles.

    A bundle grows as many as it loses. Slot s is in bundle `s // size`, see
    `dsr_tf.core.pattern`.

    Attributes:
        size: M, the weights of a bundle.
        active_slots: Integers `(num_active_groups,)`.
        free_slots: Integers `(num_free_groups,)`.
        num_pruned: Integers `(num_bundles,)`: how many of each bundle were
            chosen for pruning, once that is decided.
    """

    size: int
    active_slots: np.ndarray
    free_slots: np.ndarray
    num_pruned: np.ndarray


@dataclasses.dataclass(frozen=True)
class KernelView:
    """What a method sees of one kernel; groups are those of its mask.

    Its arrays may be views of what others read too, and cannot be written to.

    Attributes:
        scores: Array `(num_active_groups,)`, float32: mean magnitude of the
            weights of each active group, in memory order.
        num_free_groups: Number of inactive groups.
        group_size: Weights a group.
        num_pruned_groups: Groups chosen for pruning, once that is decided.
        active_gradients: Array `(num_active_groups,)`, float32: mean
            magnitude of what the optimizer has accumulated of the gradient
            (its momentum) for each active group. None unless the method
            has a `GradientGate`.
        free_gradients: The same for the inactive groups, `(num_free_groups,)`.
            Where these are not stored, of the gradient itself, and for those
            of the largest only: as many as there may be room for. If the
            method `draws_alive`, no more than which gradients are not 0:
            booleans, or where inactive groups are not stored the gradients of
            any of them.
        bundles: Where groups are in the bundles of a granularity N:M; None
            at others. Methods without `keeps_patterns` never see any.
        shape: Shape of the kernel.
    """

    scores: np.ndarray
    num_free_groups: int
    group_size: int
    num_pruned_groups: int = 0
    active_gradients: np.ndarray | None = None
    free_gradients: np.ndarray | None = None
    bundles: Bundles | None = None
    num_growable: int | None = None
    shape: tuple[int, ...] = ()

    @property
    def num_growable_groups(self) -> int:
        """How many groups it can grow: those that are free, or fewer where
        there is no room for all of them."""
        if self.num_growable is None:
            return self.num_free_groups
        return self.num_growable

    @property
    def num_active_groups(self) -> int:
        return len(self.scores)

    @property
    def num_surviving_weights(self) -> int:
        """Weights that are active and not chosen for pruning."""
        survivors = self.num_active_groups - self.num_pruned_groups
        return survivors * self.group_size

    def smallest(self, fraction: float) -> np.ndarray:
        """The smallest active groups, of which as many can grow again here.

        Args:
            fraction: Share of the active groups.

        Returns:
            Boolean array `(num_active_groups,)`: so many, rounded, or as
            many as the kernel, or each of its bundles, has room for.
        """
        count = round(fraction * self.num_active_groups)
        if self.bundles is None:
            return prune.smallest(self.scores, min(count, self.num_free_groups))
        return prune.smallest_with_room(
            self.scores, count, self.bundles.active_slots, self.bundles.size
        )

    def largest(self, scores: np.ndarray, num_grown_groups: int) -> np.ndarray:
        """The free groups of the largest scores, in the place of pruned ones.

        Args:
            scores: Array `(num_free_groups,)`.
            num_grown_groups: How many; in bundles, each grows as many as it
                lost.

        Returns:
            Integer array `(num_grown_groups,)`, indices below
            `num_free_groups`.
        """
        if self.bundles is None:
            return grow.largest(scores, num_grown_groups)
        return grow.largest_of_each(
            scores,
            self.bundles.num_pruned,
            self.bundles.free_slots,
            self.bundles.size,
        )


class Method(KeepsIntegers, abc.ABC):
    """Base of all methods: prune somehow, regrow at random in place.

    The reallocator sees to the budget, the last group of a kernel, zeros
    and optimizer slots; a method only chooses.
    """

    # The value of --method that stands for it; None if there is none.
    flag_name: ClassVar[str | None] = None
    moves_weights: ClassVar[bool] = True
    # Whether they move in every training step, not in reallocations.
    moves_in_step: ClassVar[bool] = False
    # Whether it keeps the pattern of granularities N:M: prunes of each bundle
    # no more than it has free (`KernelView.smallest`), and grows as many
    # there (`KernelView.largest`).
    keeps_patterns: ClassVar[bool] = False
    # In which steps gradients of inactive weights are computed: "never",
    # "before" each reallocation, or "always".
    dense_gradients: ClassVar[str] = "never"
    # Where gradients of inactive weights are known and a kernel has slots for
    # some of them only, how much of that room is for the largest gradients;
    # the rest is for any others.
    gradient_share: ClassVar[float] = 1.0
    # Whether that room is for any gradients that are not 0, at random, in place
    # of the largest; all that the method looks at then is whether they are.
    draws_alive: ClassVar[bool] = False
    # Names of up to three integers that the method keeps from one
    # reallocation to the next, 0 at the start: `state.method_state`.
    state_names: ClassVar[tuple[str, ...]] = ()

    def in_step(
        self, masked: list[MaskedWeight], trained: keras.Model
    ) -> InStepHook:
        """What the method does inside of the compiled training step.

        Args:
            masked: List of all `MaskedWeight` of a model.
            trained: The Keras model whose training function runs the steps.

        Returns:
            An `InStepHook`.
        """
        return NoHook(masked)

    @classmethod
    def from_settings(
        cls, settings: Any, num_active: int, steps_per_epoch: int
    ) -> Self:
        """The method as the flags of a run describe it.

        Args:
            settings: Object with an attribute for each flag of a run.
            num_active: Number of active weights of the model.
            steps_per_epoch: Number of updates in an epoch.

        Returns:
            The method; with its defaults unless a class says otherwise.

        Raises:
            ValueError: if a setting does not fit.
        """
        return cls()

    def for_training(self, first_step: int, last_step: int | None) -> Self:
        """The method for a training of which more is known now.

        Args:
            first_step: Number of updates before the training.
            last_step: Number of updates after it; None where nobody knows.
        """
        return self

    def validate(self, num_active: int) -> None:
        """Refuse a model whose number of active weights does not fit."""

    def threshold(self, state: Any) -> float | None:
        """The magnitude below which weights are pruned, None if there is
        no such number."""
        return None

    def is_over(self, step: int) -> bool:
        """Whether nothing will move any more from this step on."""
        return False

    @abc.abstractmethod
    def prune(
        self, kernels: list[KernelView], state: Any, step: int
    ) -> list[np.ndarray]:
        """Choose what becomes inactive.

        Args:
            kernels: List of `KernelView`.
            state: The `ReallocationState` before this step.
            step: Number of updates so far, `optimizer.iterations`.

        Returns:
            One boolean array `(num_active_groups,)` a kernel.
        """

    def comparable_scores(self, kernel: KernelView) -> np.ndarray:
        """Scores by which groups of one kernel compare with those of others.

        Where more is chosen than there is room for, those of the largest
        stay. Within the kernel they are in the order of `kernel.scores`.

        Args:
            kernel: A `KernelView`.

        Returns:
            Array `(num_active_groups,)`.
        """
        return kernel.scores

    def redistribute(self, total: int, kernels: list[KernelView]) -> list[int]:
        """Choose how many groups each kernel grows.

        Args:
            total: Number of weights to grow.
            kernels: List of `KernelView`, with `num_pruned_groups` filled in,
                of kernels without bundles: in those with, as many grow as
                were pruned.

        Returns:
            Number of groups, one a kernel, at most `num_growable_groups`
            each.
        """
        return redistribute.where_pruned(
            total,
            [k.num_pruned_groups * k.group_size for k in kernels],
            [k.num_growable_groups for k in kernels],
            [k.group_size for k in kernels],
        )

    def grow(
        self,
        kernel: KernelView,
        num_grown_groups: int,
        generator: np.random.Generator,
    ) -> np.ndarray:
        """Choose which free groups of one kernel become active.

        Args:
            kernel: A `KernelView`.
            num_grown_groups: Number of groups to choose.
            generator: A `numpy.random.Generator` for this choice alone.

        Returns:
            Integer array `(num_grown_groups,)`, indices below
            `kernel.num_free_groups`.
        """
        if kernel.bundles is not None:
            scores = generator.random(kernel.num_free_groups)
            return kernel.largest(scores, num_grown_groups)
        return grow.at_random(
            kernel.num_free_groups, num_grown_groups, generator
        )

    def start_values(
        self, num_grown_groups: int, generator: np.random.Generator
    ) -> np.ndarray | None:
        """What the weights of grown groups start from.

        Args:
            num_grown_groups: Number of groups of one kernel.
            generator: A `numpy.random.Generator` for these values alone.

        Returns:
            Array `(num_grown_groups,)`; None for zeros.
        """
        return None

    def num_counted(self, kernel: KernelView, pruned: np.ndarray) -> int:
        """For how many weights what was chosen in a kernel counts.

        Args:
            kernel: A `KernelView`.
            pruned: What `prune` chose of it.
        """
        return int(np.count_nonzero(pruned)) * kernel.group_size

    def update(self, state: Any, num_below: int, budget: int) -> None:
        """Change the method's part of `state` after a step.

        Args:
            state: The `ReallocationState`, to be changed in place.
            num_below: Number of weights that `prune` chose, see
                `num_counted`.
            budget: Number of active weights of the kernels that move, with
                what is carried over; it never changes.
        """
