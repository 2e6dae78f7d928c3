"""What a rule for initial masks is: of each kernel, or of all together."""

import abc
import dataclasses
from collections.abc import Callable
from collections.abc import Iterable
from typing import ClassVar

import keras
import numpy as np
from keras import ops

from dsr_tf.conversion.batch import Batch
from dsr_tf.core import draws
from dsr_tf.core.budget import Budget
from dsr_tf.core.one_threshold import largest_groups
from dsr_tf.layers import MaskedWeight

MakeRoom = Callable[[MaskedWeight, int], None]


def no_limit(weight: MaskedWeight, num_active_groups: int) -> None:
    """There is room for any number of groups."""


@dataclasses.dataclass(frozen=True)
class Request:
    """What masks are wanted.

    Attributes:
        model: The model with masked layers. Kernels hold all their weights,
            whatever their masks are so far.
        weights: List of the `MaskedWeight` of it that get a mask.
        budget: How many weights are active; None where `share_out` knows.
        share_out: Function that returns how many groups of each kernel are
            active. A rule `OfAllKernels` does not call it.
        seed: Integer that random draws depend on.
        batch: Examples and their loss, for rules that need them.
        make_room: Function that is told how many groups of a weight will be
            active, before they are chosen: there may be room for some only.
    """

    model: keras.Model
    weights: list[MaskedWeight]
    budget: Budget | None
    share_out: Callable[[], list[int]]
    seed: int
    batch: Batch | None = None
    make_room: MakeRoom = no_limit


class InitialMask(abc.ABC):
    """Base of the rules that say which weights are active at the start."""

    # The value of `mask=` that stands for it.
    name: ClassVar[str]
    # Whether it shares the budget over the kernels by itself.
    shares_budget: ClassVar[bool] = False
    # Whether it looks at examples.
    needs_data: ClassVar[bool] = False

    @abc.abstractmethod
    def masks(self, request: Request) -> Iterable[np.ndarray]:
        """Choose the active groups of each kernel.

        Returns:
            One boolean array `(num_groups,)` a kernel.
        """


class OfEachKernel(InitialMask):
    """A rule that chooses within each kernel; how many is decided before."""

    @abc.abstractmethod
    def choose(
        self,
        weight: MaskedWeight,
        num_active_groups: int,
        generator: np.random.Generator,
    ) -> np.ndarray:
        """Choose so many of the groups of one kernel.

        Args:
            weight: The `MaskedWeight`.
            num_active_groups: How many.
            generator: A `numpy.random.Generator` for this kernel alone.

        Returns:
            Boolean array `(num_groups,)`.
        """

    def masks(self, request: Request) -> Iterable[np.ndarray]:
        counts = request.share_out()
        for stream, (weight, n) in enumerate(zip(request.weights, counts)):
            request.make_room(weight, n)
            generator = draws.generator(request.seed, stream=stream)
            yield self.choose(weight, n, generator)


class OfAllKernels(InitialMask):
    """A rule with one threshold for all kernels, see `largest_groups`."""

    shares_budget = True

    @abc.abstractmethod
    def scores(self, request: Request) -> list[np.ndarray]:
        """How much each group matters.

        Returns:
            One float32 array `(num_groups,)` a kernel, finite, none below 0.
        """

    def masks(self, request: Request) -> Iterable[np.ndarray]:
        group_sizes = [weight.group_size for weight in request.weights]
        # Only a distribution goes without a budget.
        assert request.budget is not None
        request.budget.check_holds(group_sizes)
        return largest_groups(
            self.scores(request), group_sizes, request.budget.num_weights
        )


def magnitudes(weight: MaskedWeight) -> np.ndarray:
    """Mean magnitude of the weights of each group of a kernel.

    Raises:
        ValueError: if a weight is not finite.
    """
    scores = ops.convert_to_numpy(weight.grouping.scores_of(weight.kernel))
    if not np.isfinite(scores).all():
        raise ValueError(
            f"Kernel '{weight.path}' holds weights that are not finite, which "
            "have no order"
        )
    return scores
