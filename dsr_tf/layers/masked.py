"""The mixin that makes a Keras layer sparse.

A masked layer is Keras' own layer with a mask for some of its weights. The
mask says which groups of weights are active; it multiplies the weights where
Keras reads them, so `call` is Keras' own. Beside the masks are small
variables in which callbacks keep what must survive a restart (`kept_state`).
"""

import dataclasses
from collections.abc import Sequence
from typing import Any
from typing import ClassVar

import keras
import numpy as np
from keras import ops

from dsr_tf.core import distribution
from dsr_tf.core import draws
from dsr_tf.core import granularity as granularities
from dsr_tf.core.granularity import Granularity
from dsr_tf.core.grouping import Grouping
from dsr_tf.core.kernel_axes import KernelAxes
from dsr_tf.layers import given_sparsity
from dsr_tf.layers import kept_state
from dsr_tf.layers import own_variables
from dsr_tf.layers import storages
from dsr_tf.layers.active_penalty import ActivePenalty
from dsr_tf.layers.masked_variable import MaskedVariable
from dsr_tf.layers.sparse_variable import SparseVariable
from dsr_tf.layers.storages import MASKED

# Stands for the Keras layer among the bases, whose methods a mixin calls.
_KerasLayer: Any = object


class Masked(_KerasLayer):
    """Mixin for a layer some of whose variables are `mask * weights`.

    It must come before the Keras layer among the bases, and the class be
    registered by `dsr_tf.layers.kinds.masks`, which says what is masked.
    Inactive weights are stored as exactly 0 from the start.

    Args:
        sparsity: Share of inactive weights, in [0, 1). Each masked weight
            starts with `round((1 - sparsity) * num_groups)` active groups,
            at least one, at random places. For layers that mask several
            weights it may be a dict from their names to numbers.
        granularity: What one mask entry governs, see
            `dsr_tf.core.granularity`. With N:M the sparsity must be 1 - N/M,
            or 0.
        seed: Integer that masks are drawn from; None draws a fresh one.
        storage: How weights are stored, one of `storages`.
        num_slots: How many groups there is room for, see
            `dsr_tf.core.room`; None for the number that the storage takes.
    """

    # The storages that layers of the kind can have.
    storages: ClassVar[tuple[str, ...]] = (MASKED,)
    has_slots_by_rows: ClassVar[bool] = False  # See `Grouping.with_room`.
    # Set by `masks`: for each masked weight the axes along which output
    # channels differ.
    _channel_axes: dict[str, tuple[int, ...]] = {}
    masked_variables: dict[str, SparseVariable]
    # Also set by `masks`: whether the Keras layer has a seed of its own, to
    # drop units; the masks are then drawn from the same.
    _dense_kind_takes_seed = False

    def __init__(
        self,
        *args: Any,
        sparsity: float | dict[str, float] = 0.9,
        granularity: str | Granularity = "element",
        seed: int | None = None,
        storage: str = MASKED,
        num_slots: int | None = None,
        **kwargs: Any,
    ) -> None:
        self._describe(sparsity, granularity, seed, num_slots=num_slots)
        if self._dense_kind_takes_seed:
            kwargs["seed"] = seed
        super().__init__(*args, **kwargs)
        self.__dict__["storage"] = storages.check(self, storage)
        if not storages.suits_jit(storage):
            self.supports_jit = False

    def _describe(
        self,
        sparsity: float | dict[str, float],
        granularity: str | Granularity,
        seed: int | None,
        head_axes: dict[str, int] | None = None,
        num_slots: int | None = None,
    ) -> None:
        """Say how weights will be masked, past Keras, which tracks dicts."""
        granularity = granularities.get(granularity)
        self.__dict__.update(
            _sparsity_given=given_sparsity.check(
                sparsity, self.masked_names, granularity
            ),
            granularity=granularity,
            masked_variables={},
            _mask_seed=draws.check_seed(seed),
            _head_axes=head_axes or {},
            storage=MASKED,
            num_slots=storages.check_num_slots(num_slots),
        )
        if not self._dense_kind_takes_seed:
            self.__dict__["seed"] = seed

    def add_weight(
        self, *args: Any, name: str | None = None, **kwargs: Any
    ) -> keras.Variable:
        """Keras' `add_weight`; masked weights get their masks as well."""
        if name is None or name not in self.masked_names:
            return super().add_weight(*args, name=name, **kwargs)
        shape = tuple(args[0] if args else kwargs.pop("shape"))
        grouping = self._grouping(name, shape)
        if self.storage != MASKED:
            return self._add_stored(name, grouping, kwargs)
        mask = self._random_mask(name, grouping)
        initializer = keras.initializers.get(kwargs.pop("initializer"))
        regularizer = kwargs.pop("regularizer", None)
        if regularizer is not None:
            regularizer = ActivePenalty(self, name, regularizer)

        def masked_initializer(shape: Sequence[int], dtype: Any = None) -> Any:
            values = initializer(shape, dtype=dtype)
            spread = grouping.spread(ops.convert_to_tensor(mask))
            return values * ops.cast(spread, values.dtype)

        kernel = super().add_weight(
            name=name,
            shape=shape,
            initializer=masked_initializer,
            regularizer=regularizer,
            **kwargs,
        )
        self._add_mask(name, kernel, grouping, mask)
        return kernel

    def _add_stored(
        self, name: str, grouping: Grouping, arguments: dict[str, Any]
    ) -> keras.Variable:
        storage = storages.get(self.storage)
        number = self._num_active_groups(name, grouping)
        grouping = storage.with_room(grouping, number, self.num_slots)
        places = grouping.random_places(number, self._generator(name))
        variable = storage.new(
            self, name, grouping, places, super().add_weight, **arguments
        )
        if not self.masked_variables:
            self._add_state()
        self.masked_variables[name] = variable
        # What a copy or a file must have, too, whatever has moved by then.
        assert grouping.room is not None
        self.__dict__["num_slots"] = grouping.room.num_slots
        return variable.kernel

    def become_masked(
        self,
        sparsity: float | dict[str, float],
        granularity: str | Granularity,
        seed: int | None,
        head_axes: dict[str, int] | None,
        draw: bool,
        num_slots: int | None = None,
    ) -> None:
        """Take masks, where the layer was made as the dense kind.

        See `dsr_tf.layers.in_place`, which calls this when the class has
        been changed.
        """
        self._describe(sparsity, granularity, seed, head_axes, num_slots)
        self.__dict__["_became_masked"] = True
        if not self.built:
            return  # Masks will come with the weights.
        kernels = {name: self.stored(name) for name in self.masked_names}
        self.check_names([name for name in kernels if kernels[name] is None])
        groupings = {
            name: self._grouping(name, tuple(kernel.shape))
            for name, kernel in kernels.items()
        }
        for name, kernel in kernels.items():
            # From a plain attribute to that of the property of the kind.
            self.__dict__.pop(name, None)
            self.__dict__[f"_{name}"] = kernel
            if kernel.regularizer is not None:
                kernel.regularizer = ActivePenalty(
                    self, name, kernel.regularizer
                )
            grouping = groupings[name]
            mask = np.ones(grouping.mask_shape, "bool")
            self._add_mask(name, kernel, grouping, mask)
            if draw:
                weight = self.masked_variables[name]
                weight.set_mask(self._random_mask(name, grouping))

    def check_names(self, missing: Sequence[str]) -> None:
        """Refuse a kind that is said to mask what its layers do not have.

        Raises:
            ValueError: if something is missing.
        """
        if missing:
            raise ValueError(
                f"Layer '{self.name}' ({type(self).__name__}) should mask "
                f"{', '.join(missing)}, as `masks` says: weights that it adds "
                "under these names, and keeps in attributes of these names. "
                f"It has {', '.join(v.name for v in self.variables)}"
            )

    def stored(self, name: str) -> Any:
        """The variable of a weight, not what the forward pass reads."""
        return stored(self, name)

    def _grouping(self, name: str, shape: Sequence[int | None]) -> Grouping:
        axes = self.kernel_axes(self, name, len(shape))
        if name in self._head_axes:
            heads = self._head_axes[name] % len(shape)
            axes = dataclasses.replace(axes, heads=heads)
        grouping = self.granularity.grouping(shape, axes)
        if self.num_slots is None:
            return grouping
        return grouping.with_room(self.num_slots, self.has_slots_by_rows)

    @classmethod
    def kernel_axes(
        cls, layer: keras.layers.Layer, name: str, num_axes: int
    ) -> KernelAxes:
        """What the axes of a weight stand for.

        Args:
            layer: A layer of this kind, or of the dense kind.
            name: Name of the weight, one of those that are masked.
            num_axes: Number of its axes.

        Returns:
            A `KernelAxes`, by default of a kernel whose last two axes are
            inputs and outputs.
        """
        return KernelAxes.of(num_axes, cls._channel_axes[name])

    def _random_mask(self, name: str, grouping: Grouping) -> np.ndarray:
        return grouping.random_mask(
            self._num_active_groups(name, grouping), self._generator(name)
        )

    def _num_active_groups(self, name: str, grouping: Grouping) -> int:
        return distribution.num_active_groups(
            grouping.num_groups, self._sparsity_given[name]
        )

    def _generator(self, name: str) -> np.random.Generator:
        return draws.generator(
            self._mask_seed, stream=self.masked_names.index(name)
        )

    def _add_mask(
        self,
        name: str,
        kernel: keras.Variable,
        grouping: Grouping,
        mask: np.ndarray,
    ) -> None:
        mask_name = "mask" if len(self.masked_names) == 1 else f"{name}_mask"
        variable = super().add_weight(
            name=mask_name,
            shape=grouping.mask_shape,
            initializer=lambda shape, dtype: ops.convert_to_tensor(mask),
            dtype="bool",
            trainable=False,
        )
        setattr(self, mask_name, variable)
        if not self.masked_variables:
            self._add_state()
        self.masked_variables[name] = MaskedVariable(
            self, name, kernel, variable, grouping
        )

    def _add_state(self) -> None:
        for kept in kept_state.STATE_VARIABLES:
            variable = super().add_weight(
                name=kept.name,
                shape=kept.shape(self),
                initializer="zeros",
                dtype=kept.dtype,
                trainable=False,
            )
            setattr(self, kept.name, variable)

    @property
    def masked_names(self) -> tuple[str, ...]:
        """The names of the weights that are masked."""
        return tuple(self._channel_axes)

    @property
    def state_variables(self) -> list[keras.Variable]:
        """The variables that callbacks keep what they need in."""
        return [getattr(self, kept.name) for kept in kept_state.STATE_VARIABLES]

    @property
    def sparsity(self) -> float | dict[str, float]:
        """Share of inactive groups: as given, or as the masks now have it
        where they hold other numbers of them; a dict where they differ."""
        given = self._sparsity_given
        now = {
            name: given_sparsity.now(weight, given[name])
            for name, weight in self.masked_variables.items()
        }
        now = {**given, **now}
        return now if len(set(now.values())) > 1 else now[self.masked_names[0]]

    def save_own_variables(self, store: Any) -> None:
        """Store places and values of active weights only."""
        own_variables.save(self, store)

    def load_own_variables(self, store: Any) -> None:
        """Load what `save_own_variables` stored, or one of a version before.

        Raises:
            ValueError: if the file holds a layer without a mask, other
                variables than this layer has, or is damaged.
        """
        own_variables.load(self, store)

    @property
    def plain_variables(self) -> list[keras.Variable]:
        """The layer's own variables but those that masking has changed."""
        return own_variables.plain(self)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            sparsity=given_sparsity.for_constructor(
                self.sparsity, self.granularity
            ),
            granularity=self.granularity.name,
            seed=self.seed,
        )
        if self.storage != MASKED or self.num_slots is not None:
            config.update(storage=self.storage, num_slots=self.num_slots)
        return config


def stored(layer: Any, name: str) -> Any:
    """The variable of a weight of any layer, masked or not."""
    return vars(layer).get(f"_{name}", vars(layer).get(name))
