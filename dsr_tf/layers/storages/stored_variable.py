"""A sparse weight of which only active groups are stored.

There is room for some more groups than are active (`Room`), so that variables
keep their shapes while groups move. All that moves is decided on the host;
variables are arranged anew there, optimizer slots in the same way.
"""

import abc
import math
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any
from typing import ClassVar

import keras
import numpy as np
from keras import ops

from dsr_tf.core.grouping import Grouping
from dsr_tf.layers.storages.devices import place_array
from dsr_tf.layers.storages.drawing import constant
from dsr_tf.layers.storages.drawing import draw
from dsr_tf.layers.storages.penalty import check_penalty
from dsr_tf.layers.storages.watched import Watched


class StoredVariable(Watched):
    """Base of the storages of active weights only.

    Attributes:
        storage: Its name.
        slack: For how many times the groups that are active when a layer is
            made there is room, where nothing else is said.
        by_rows: Whether rows have slots of their own, see
            `Grouping.with_room`.
        has_jit: Whether XLA has what it computes.
        kernel: Keras variable, the stored weights and zeros in empty slots.
        where: Keras variables that say which groups these are.
    """

    storage: ClassVar[str]
    slack: ClassVar[float]
    by_rows: ClassVar[bool] = False
    has_jit: ClassVar[bool] = True
    is_stored = True

    def __init__(
        self,
        layer: Any,
        name: str,
        kernel: keras.Variable,
        grouping: Grouping,
        where: list[keras.Variable],
    ) -> None:
        super().__init__(layer, name, kernel, grouping)
        self.where = where

    @classmethod
    @abc.abstractmethod
    def check_grouping(cls, grouping: Grouping) -> None:
        """Refuse groups that cannot be stored so.

        Raises:
            ValueError: if they cannot.
        """

    @classmethod
    @abc.abstractmethod
    def kernel_shape(cls, grouping: Grouping) -> tuple[int, ...]:
        """The shape of the variable of stored weights."""

    @classmethod
    @abc.abstractmethod
    def arrange_places(
        cls, grouping: Grouping, places: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Arrays that say where groups are, by the names of the variables."""

    @classmethod
    @abc.abstractmethod
    def slots_of(cls, grouping: Grouping, places: np.ndarray) -> np.ndarray:
        """In which slot each group is stored.

        Args:
            grouping: A `Grouping` with room.
            places: Integer array in ascending order.

        Returns:
            Integer array `(len(places),)`, a function of the places alone:
            so all that is saved finds its slot again.
        """

    def multiply(self, rows: Any) -> Any:
        """The product of a tensor `(batch, in)` and the weight, if any."""
        raise NotImplementedError

    @abc.abstractmethod
    def places(self) -> np.ndarray:
        """See `SparseVariable`; read from `where`."""

    @classmethod
    @abc.abstractmethod
    def pays(
        cls,
        grouping: Grouping,
        num_active_groups: int,
        dtype: str,
        has_many_rows: bool,
    ) -> bool:
        """Whether training has been measured to be faster so than masked.

        Args:
            grouping: A `Grouping`.
            num_active_groups: How many of its groups are active.
            dtype: What the layer computes in.
            has_many_rows: See `StoresActive`.
        """

    @classmethod
    def suits_jit(cls) -> bool:
        """Whether XLA makes it faster, where this computes, and compiles it
        at all: Keras compiles by it only if all layers say so."""
        return True

    @classmethod
    def with_room(
        cls,
        grouping: Grouping,
        num_active_groups: int,
        num_slots: int | None = None,
        slack: float | None = None,
    ) -> Grouping:
        """A grouping with the room that there will be.

        Args:
            grouping: A `Grouping`.
            num_active_groups: How many groups will be active.
            num_slots: How many slots a bin has, see `Room`; None for about
                `slack` times as many groups as are active in a bin on
                average: enough for all and, with slack, for one more.
            slack: At least 1; None for that of the storage.

        Raises:
            ValueError: if such groups, or that many, cannot be stored so.
        """
        cls.check_grouping(grouping)
        one = grouping.with_room(1, cls.by_rows)
        assert one.room is not None
        num_bins = one.room.num_bins
        if num_slots is not None:
            one.room.check_slots(num_slots, grouping.num_groups)
        else:
            slack = slack or cls.slack
            mean = num_active_groups / num_bins
            least = math.floor(mean) + 1 if slack > 1 else math.ceil(mean)
            num_slots = max(least, math.floor(slack * mean + 0.5))
            num_slots = min(num_slots, grouping.num_groups // num_bins)
        roomy = grouping.with_room(num_slots, cls.by_rows)
        assert roomy.room is not None
        roomy.room.check_number(num_active_groups)
        return roomy

    @classmethod
    def new(
        cls,
        layer: Any,
        name: str,
        grouping: Grouping,
        places: np.ndarray,
        add_weight: Callable[..., keras.Variable],
        groups: np.ndarray | None = None,
        initializer: Any = "glorot_uniform",
        regularizer: Any = None,
        constraint: Any = None,
        **arguments: Any,
    ) -> "StoredVariable":
        """Make the variables of a layer's weight.

        Args:
            layer: The layer.
            name: Name of the weight.
            grouping: Its `Grouping`, with room.
            places: Ascending integer array, the groups that are active.
            add_weight: Keras' `add_weight` of the layer.
            groups: Their weights, `(len(places), group_size)`; None to draw
                them by the initializer.
            initializer, regularizer, constraint, **arguments: What the
                layer gives to `add_weight`.

        Raises:
            ValueError: if a penalty or constraint looks at whole kernels.
        """
        if constraint is not None:
            raise ValueError(
                f"Layer '{layer.name}' stores its active weights only "
                f"(storage='{cls.storage}'), so its {name} cannot be held to "
                f"a constraint. Received: {constraint!r}"
            )
        check_penalty(regularizer, layer, cls.storage)
        grouping.check_places(places)
        arguments = {k: v for k, v in arguments.items() if k != "shape"}

        def stored(shape: Any, dtype: Any = None) -> Any:
            values = groups
            if values is None:
                values = draw(initializer, grouping, places, dtype)
            return cls._filled(grouping, places, values)

        kernel = add_weight(
            name=name,
            shape=cls.kernel_shape(grouping),
            initializer=stored,
            regularizer=regularizer,
            **arguments,
        )
        where = []
        for key, array in cls.arrange_places(grouping, places).items():
            array = place_array(array)
            variable = add_weight(
                name=f"{name}_{key}",
                shape=array.shape,
                initializer=constant(array),
                dtype=str(array.dtype),
                trainable=False,
            )
            setattr(layer, f"{name}_{key}", variable)
            where.append(variable)
        return cls(layer, name, kernel, grouping, where)

    @property
    def mask(self) -> keras.Variable:
        """There is none.

        Raises:
            ValueError: always, with what to do.
        """
        raise ValueError(
            f"Layer '{self.layer.name}' stores its active weights only "
            f"(storage='{self.storage}'), so there is no mask: "
            "`dsr_tf.with_storage(model, 'masked')` makes one."
        )

    @property
    def is_exported(self) -> bool:
        return False

    @property
    def held(self) -> Any:
        return None

    @property
    def product(self) -> Callable[[Any], Any]:
        """A function that multiplies inputs `(..., in)` by the weight."""
        return self._product

    def _product(self, inputs: Any) -> Any:
        inputs = ops.convert_to_tensor(inputs)
        shape = ops.shape(inputs)
        rows = inputs
        if len(shape) > 2:
            rows = ops.reshape(inputs, (-1, shape[-1]))
        outputs = self.watch(rows, self.multiply(rows))
        if len(shape) == 2:
            return outputs
        return ops.reshape(outputs, (*shape[:-1], outputs.shape[-1]))

    @property
    def unread(self) -> list[keras.Variable]:
        return list(self.where)

    def penalize(self, penalty: Any) -> None:
        check_penalty(penalty, self.layer, self.storage)
        self.kernel.regularizer = keras.regularizers.get(penalty)

    def groups(self) -> np.ndarray:
        return self.groups_of(self.kernel)

    def groups_of(self, variable: keras.Variable) -> np.ndarray:
        """What a variable of the kernel's shape, such as an optimizer's
        slot, holds of the active groups: `(num_active_groups, group_size)`."""
        array = ops.convert_to_numpy(variable)
        slots = self.slots_of(self.grouping, self.places())
        return array.reshape(-1, self.grouping.group_size)[slots]

    def masked(self, weights: Any) -> Any:
        # Of use outside of the forward pass only, which has no such tensor.
        groups = self.groups_of(weights)
        whole = self.grouping.kernel_of(self.places(), groups)
        return ops.convert_to_tensor(whole)

    def assign(self, places: np.ndarray, groups: np.ndarray) -> None:
        self.grouping.check_places(places)
        self._assign_places(places)
        self.kernel.assign(self._filled(self.grouping, places, groups))

    def set_mask(self, mask: np.ndarray) -> None:
        mask = np.reshape(mask, self.grouping.mask_shape)
        self.move(np.flatnonzero(mask), [])

    def move(
        self,
        places: np.ndarray,
        slots: Iterable[tuple[keras.Variable, float]],
    ) -> None:
        """Let other groups be active; those that stay keep their weights.

        Args:
            places: Ascending integer array, the groups that are active from
                now on. New ones start from 0.
            slots: Pairs of an optimizer's variable for the kernel, and the
                number that its entries start from.
        """
        before = self.places()
        self.grouping.check_places(places)
        stays = np.isin(before, places, assume_unique=True)
        were = self.slots_of(self.grouping, before)[stays]
        at = np.searchsorted(places, before[stays])
        are = self.slots_of(self.grouping, places)[at]
        arranged = []
        for variable, fresh in [(self.kernel, 0.0), *slots]:
            old = ops.convert_to_numpy(variable)
            new = np.full(old.shape, fresh, old.dtype)
            by_slot = (-1, self.grouping.group_size)
            new.reshape(by_slot)[are] = old.reshape(by_slot)[were]
            arranged.append((variable, new))
        self._assign_places(places)
        for variable, array in arranged:
            variable.assign(array)

    @classmethod
    def _filled(
        cls,
        grouping: Grouping,
        places: np.ndarray,
        groups: np.ndarray,
    ) -> np.ndarray:
        """The array of a variable that stores these groups."""
        shape = cls.kernel_shape(grouping)
        array = np.zeros(shape, groups.dtype)
        rows = array.reshape(-1, grouping.group_size)
        rows[cls.slots_of(grouping, places)] = groups
        return array

    def _assign_places(self, places: np.ndarray) -> None:
        self.candidates.assign(None)
        arrays = self.arrange_places(self.grouping, places).values()
        for variable, array in zip(self.where, arrays):
            variable.assign(place_array(array))
