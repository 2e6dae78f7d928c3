"""One sparse weight of a layer, whatever way it is stored.

Files hold the places and the weights of active groups, and nothing else, so
they are the same for all ways: a masked layer loads what a layer has saved
that stores active weights only, and the other way round.
"""

import abc
import contextlib
from collections.abc import Callable
from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import Any

import keras
import numpy as np

from dsr_tf.core import sparse_arrays
from dsr_tf.core.grouping import Grouping
from dsr_tf.layers.active_penalty import ActivePenalty

if TYPE_CHECKING:
    from dsr_tf.layers.masked import Masked


class SparseVariable(abc.ABC):
    """One sparse weight of a layer: the variable that is trained, and groups.

    Args:
        layer: The layer.
        name: The name that the layer has it under, such as `"kernel"`.
        kernel: Keras variable, what is trained of it.
        grouping: How the weight is cut into groups.

    Attributes:
        layer, name, kernel, grouping: As given.
        index: Its place among the masked weights of the layer.
        hook: What a method does inside of the training step, an
            `InStepHook`, while one is installed; else None.
    """

    # Whether weights that are inactive are not stored.
    is_stored = False

    def __init__(
        self,
        layer: "Masked",
        name: str,
        kernel: keras.Variable,
        grouping: Grouping,
    ) -> None:
        self.layer, self.name = layer, name
        self.kernel, self.grouping = kernel, grouping
        self.index = layer.masked_names.index(name)
        # An `InStepHook` of `dsr_tf.methods`, which is built upon layers.
        self.hook: Any = None

    @property
    @abc.abstractmethod
    def mask(self) -> keras.Variable:
        """Booleans, True where a group is active; see `is_stored`."""

    @property
    @abc.abstractmethod
    def is_exported(self) -> bool:
        """Whether the variable holds what the forward pass reads."""

    @property
    @abc.abstractmethod
    def held(self) -> Any:
        """What the scope `holding` keeps of it; None outside of one."""

    @property
    @abc.abstractmethod
    def product(self) -> Callable[[Any], Any] | None:
        """A function that multiplies inputs by it, where there is one."""

    @property
    @abc.abstractmethod
    def unread(self) -> list[keras.Variable]:
        """Variables beside the kernel that say where active weights are."""

    @abc.abstractmethod
    def masked(self, weights: Any) -> Any:
        """The weight with its zeros, a tensor of the kernel's shape.

        Args:
            weights: Tensor or variable of the shape of `kernel`.
        """

    @abc.abstractmethod
    def places(self) -> np.ndarray:
        """The active groups, an ascending integer array: their places in
        memory order."""

    @abc.abstractmethod
    def groups(self) -> np.ndarray:
        """Their weights, an array `(num_active_groups, group_size)`."""

    @abc.abstractmethod
    def assign(self, places: np.ndarray, groups: np.ndarray) -> None:
        """Take other active groups, in the place of those that are there.

        Args:
            places: Integer array in ascending order.
            groups: Array `(len(places), group_size)`.
        """

    @abc.abstractmethod
    def set_mask(self, mask: np.ndarray) -> None:
        """Change which groups are active; new ones start from 0.

        Args:
            mask: Boolean array of as many entries as there are groups.

        Raises:
            ValueError: if it breaks the pattern of a granularity N:M, or
                there is no room for so many.
        """

    def num_active_groups(self) -> int:
        """Number of active groups, counted."""
        return len(self.places())

    @property
    def mask_name(self) -> str:
        """The name of its mask in the layer, and in files."""
        one = len(self.layer.masked_names) == 1
        return "mask" if one else f"{self.name}_mask"

    @property
    def plain_regularizer(self) -> Any:
        """The penalty on the kernel as the layer was given it, or None."""
        regularizer = self.kernel.regularizer
        if isinstance(regularizer, ActivePenalty):
            return regularizer.penalty
        return regularizer

    @plain_regularizer.setter
    def plain_regularizer(self, penalty: Any) -> None:
        self.penalize(penalty)

    @abc.abstractmethod
    def penalize(self, penalty: Any) -> None:
        """Give the kernel a penalty, on what the forward pass reads of it.

        Raises:
            ValueError: if it looks at what is not stored.
        """

    @property
    def stored_names(self) -> tuple[str, str]:
        """The names that `save` stores under."""
        return f"{self.mask_name}.gaps", f"{self.name}.active"

    @property
    def candidate_names(self) -> tuple[str, str]:
        """The names of what `save` stores between the step that found what
        can grow and the reallocation, where inactive weights are not
        stored: see `dsr_tf.layers.candidates`."""
        return f"{self.name}.candidates", f"{self.name}.candidate_scores"

    def read_candidates(self, store: Any) -> None:
        """Read what is stored under `candidate_names`, if it is needed.

        Raises:
            ValueError: if it is damaged.
        """

    def save(self, store: Any) -> None:
        """Store the places and weights of active groups, and nothing else.

        `<mask>.gaps` is that of `dsr_tf.core.sparse_arrays`;
        `<name>.active` has the weights in the order of the mask.

        Args:
            store: A mapping that takes arrays.
        """
        gaps, active = self.stored_names
        packed = sparse_arrays.pack_places(self.places())
        store[gaps] = np.frombuffer(packed, "uint8")
        store[active] = self.groups().reshape(-1)

    def read(self, store: Any) -> tuple[np.ndarray, np.ndarray]:
        """Read what `save` stored.

        Returns:
            Places and weights of the active groups, see `assign`.

        Raises:
            ValueError: if it is damaged, or does not fit the groups.
        """
        grouping = self.grouping
        gaps, active = self.stored_names
        with self.reading_places():
            places = sparse_arrays.unpack_positions(
                store[gaps], grouping.num_groups
            )
            grouping.check_places(places)
        weights = np.asarray(store[active])
        if weights.size != len(places) * grouping.group_size:
            raise ValueError(
                f"Layer '{self.layer.name}' has {len(places)} active "
                f"groups of {grouping.group_size} weights in the file, which "
                f"holds {weights.size} weights: it is damaged."
            )
        return places, weights.reshape(-1, grouping.group_size)

    @contextlib.contextmanager
    def reading_places(self) -> Iterator[None]:
        """Say of which layer places are that a file has, if they are bad."""
        try:
            yield
        except ValueError as error:
            raise ValueError(
                f"Layer '{self.layer.name}' cannot take the places of its "
                f"{self.name} from the file. {error}"
            ) from error
