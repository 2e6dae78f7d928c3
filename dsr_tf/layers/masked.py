"""The mixin that makes a Keras layer sparse.

A masked layer is Keras' own layer with a mask for some of its weights. The
mask says which groups of weights are active; it multiplies the weights where
Keras reads them, so `call` is Keras' own. Beside the masks are small
variables in which callbacks keep what must survive a restart (`kept_state`).
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from dsr_tf.core import distribution
from dsr_tf.core import draws
from dsr_tf.core import granularity as granularities
from dsr_tf.core.granularity import Granularity
from dsr_tf.core.grouping import Grouping
from dsr_tf.layers import kept_state
from dsr_tf.layers.active_penalty import ActivePenalty
from dsr_tf.layers.masked_variable import MaskedVariable

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
    """

    # Set by `masks`: the names of the masked weights, and for each the axes
    # along which output channels differ.
    masked_names: tuple[str, ...] = ()
    _channel_axes: dict[str, tuple[int, ...]] = {}
    masked_variables: dict[str, MaskedVariable]

    def __init__(
        self,
        *args: Any,
        sparsity: float | dict[str, float] = 0.9,
        granularity: str | Granularity = "element",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.granularity = granularities.get(granularity)
        self._sparsity_given = _check_sparsity(
            sparsity, self.masked_names, self.granularity
        )
        self.seed = seed
        self._mask_seed = draws.check_seed(seed)
        # Past Keras, which would track it in place of what is in it.
        self.__dict__["masked_variables"] = {}
        super().__init__(*args, **kwargs)

    def add_weight(
        self, *args: Any, name: str | None = None, **kwargs: Any
    ) -> keras.Variable:
        """Keras' `add_weight`; masked weights get their masks as well."""
        if name is None or name not in self.masked_names:
            return super().add_weight(*args, name=name, **kwargs)
        shape = tuple(args[0] if args else kwargs.pop("shape"))
        grouping = self.grouping_of(self, name, shape, self.granularity)
        mask = grouping.random_mask(
            distribution.num_active_groups(
                grouping.num_groups, self._sparsity_given[name]
            ),
            draws.generator(
                self._mask_seed, stream=self.masked_names.index(name)
            ),
        )
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
        return kernel

    @classmethod
    def input_axis(cls, layer: Any, name: str, num_axes: int) -> int | None:
        """The axis of a masked weight along which its inputs differ.

        Args:
            layer: A layer of this kind, or the dense one that it is made of.
            name: Name of the weight.
            num_axes: Number of its axes.

        Returns:
            An axis, by default that of the last two along which output
            channels do not differ; None if there is none.
        """
        channels = {axis % num_axes for axis in cls._channel_axes[name]}
        last_two = range(max(0, num_axes - 2), num_axes)
        return max(set(last_two) - channels, default=None)

    @classmethod
    def grouping_of(
        cls,
        layer: Any,
        name: str,
        shape: Sequence[int | None],
        granularity: Granularity,
    ) -> Grouping:
        """The `Grouping` of a masked weight, see `Granularity.grouping`.

        Args:
            layer, name: As of `input_axis`.
            shape: Shape of the weight.
            granularity: A `Granularity`.
        """
        return granularity.grouping(
            shape,
            cls._channel_axes[name],
            cls.input_axis(layer, name, len(shape)),
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
    def state_variables(self) -> list[keras.Variable]:
        """The variables that callbacks keep what they need in."""
        return [getattr(self, kept.name) for kept in kept_state.STATE_VARIABLES]

    @property
    def sparsity(self) -> float | dict[str, float]:
        """Share of inactive groups: as given, or as the masks now have it
        where they hold other numbers of them; a dict where they differ."""
        given = self._sparsity_given
        now = {
            name: _sparsity_now(weight, given[name])
            for name, weight in self.masked_variables.items()
        }
        now = {**given, **now}
        return now if len(set(now.values())) > 1 else now[self.masked_names[0]]

    def save_own_variables(self, store: Any) -> None:
        """Store places and values of active weights only.

        See `MaskedVariable.save` and `kept_state.save`; all other variables
        are stored under their names, as they are.
        """
        for weight in self.masked_variables.values():
            weight.save(store)
        kept_state.save(self, store)
        for variable in self._stored_as_they_are():
            store[variable.name] = variable

    def load_own_variables(self, store: Any) -> None:
        """Load what `save_own_variables` stored.

        Files of before load as well: those with one variable of state, and
        those with whole kernels and masks.

        Raises:
            ValueError: if the file holds a layer without a mask, other
                variables than this layer has, or is damaged.
        """
        weights = self.masked_variables.values()
        found = set(store.keys())
        others = {variable.name for variable in self._stored_as_they_are()}
        packed = others.union(*(weight.stored_names for weight in weights))
        whole = others | {v.name for w in weights for v in (w.kernel, w.mask)}
        if found in (packed | {key} for key in kept_state.KEYS):
            values = [weight.read(store) for weight in weights]
        elif found == whole | {kept_state.OLD_NAME}:
            values = [
                (
                    np.asarray(store[w.kernel.name]),
                    np.asarray(store[w.mask.name]),
                )
                for w in weights
            ]
        else:
            raise ValueError(
                f"Layer '{self.name}' ({type(self).__name__}) stores the "
                f"variables {sorted(packed | {kept_state.KEY})}, but the file "
                f"holds {sorted(found)} for it: it was saved from another "
                "layer, perhaps a dense one without a mask. Use "
                "`dsr_tf.sparsify` on the dense model instead."
            )
        state = kept_state.read(self, store)
        for weight, (kernel, mask) in zip(weights, values):
            weight.assign(kernel, mask)
        kept_state.assign(self, state)
        for variable in self._stored_as_they_are():
            variable.assign(store[variable.name])

    def _stored_as_they_are(self) -> list[keras.Variable]:
        packed = {id(variable) for variable in self.state_variables}
        for weight in self.masked_variables.values():
            packed |= {id(weight.kernel), id(weight.mask)}
        own = self._trainable_variables + self._non_trainable_variables
        return [variable for variable in own if id(variable) not in packed]

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            sparsity=_for_constructor(self.sparsity, self.granularity),
            granularity=self.granularity.name,
            seed=self.seed,
        )
        return config


def _check_sparsity(
    sparsity: float | dict[str, float],
    names: Sequence[str],
    granularity: Granularity,
) -> dict[str, float]:
    """The sparsity of each masked weight, by name."""
    if not isinstance(sparsity, dict):
        return dict.fromkeys(names, granularity.check_sparsity(sparsity))
    if set(sparsity) != set(names):
        raise ValueError(
            "`sparsity` must be a number in [0, 1), or a dict with one for "
            f"each of {', '.join(names)}. Received: sparsity={sparsity!r}"
        )
    return {name: granularity.check_sparsity(sparsity[name]) for name in names}


def _for_constructor(sparsity: Any, granularity: Granularity) -> Any:
    """What the constructor takes, where a mask has no active group left, or
    pruning has not reached N:M yet."""
    if isinstance(sparsity, dict):
        return {
            name: _for_constructor(share, granularity)
            for name, share in sparsity.items()
        }
    sparsity = min(sparsity, math.nextafter(1, 0))
    try:
        return granularity.check_sparsity(sparsity)
    except ValueError:
        return 0.0


def _sparsity_now(weight: MaskedVariable, given: float) -> float:
    size, active = weight.grouping.num_groups, weight.num_active_groups()
    if active == distribution.num_active_groups(size, given):
        return given
    return 1 - active / size
