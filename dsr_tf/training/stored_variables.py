"""The variables of a run by name, as checkpoints of each format have them."""

import dataclasses
import os
import re
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from dsr_tf.command_line import UsageError
from dsr_tf.core.checks import is_integer
from dsr_tf.layers import Masked
from dsr_tf.layers import kept_state
from dsr_tf.layers import masked_weights
from dsr_tf.layers.candidates import Found
from dsr_tf.layers.candidates import shape_of
from dsr_tf.layers.change_storage import change_storage
from dsr_tf.layers.storages import StoredVariable

# Files of format 2 and before have what callbacks keep among the variables,
# as one of eight integers a layer; later ones have it apart, by name.
FIRST_WITH_STATE_APART = 3
# Keras numbers the seeds of random layers as a process makes them.
_NUMBERED_SEED = re.compile(r"^seed_generator_\d+/")


class Entry:
    """What a checkpoint holds under one name: a variable.

    Attributes:
        name: The same in every process.
        variable: The Keras variable.
        shape: Shape of its array.
        dtype: Name of its dtype.
    """

    def __init__(self, name: str, variable: keras.Variable) -> None:
        self.name, self.variable = name, variable
        self.shape = tuple(variable.shape)
        self.dtype = keras.backend.standardize_dtype(variable.dtype)

    @property
    def array(self) -> np.ndarray:
        """Its value."""
        return ops.convert_to_numpy(self.variable)

    def check(self, array: Any) -> None:
        """Refuse an array of the right shape and dtype that is damaged.

        Raises:
            ValueError: if it is.
        """

    def assign(self, array: Any) -> None:
        """Give the variable its value."""
        self.variable.assign(array)


class _OldState(Entry):
    """The state of a layer as files of format 2 have it."""

    def __init__(self, name: str, layer: Masked) -> None:
        super().__init__(name, layer.state_variables[0])
        self._layer, self.shape = layer, (kept_state.OLD_SIZE,)

    def check(self, array: Any) -> None:
        kept_state.from_old(self._layer, array)

    def assign(self, array: Any) -> None:
        state = kept_state.from_old(self._layer, array)
        kept_state.assign(self._layer, state)


class _Places(Entry):
    """Which groups are stored: on every device of the type that they have on
    processors, see `place_array`."""

    def __init__(self, name: str, variable: keras.Variable) -> None:
        super().__init__(name, variable)
        self.dtype = {"int64": "int32"}.get(self.dtype, self.dtype)

    @property
    def array(self) -> np.ndarray:
        return super().array.astype(self.dtype)


class _Candidates(Entry):
    """A part of what a step has found that can grow of a stored weight."""

    def __init__(self, name: str, weight: StoredVariable, part: str) -> None:
        super().__init__(name, weight.kernel)
        self._candidates, self._part = weight.candidates, part
        self.shape = shape_of(weight.grouping)
        self.dtype = "float32" if part == "scores" else "int64"

    @property
    def is_found(self) -> bool:
        """Whether there are any now."""
        return self._candidates.read() is not None

    @property
    def array(self) -> np.ndarray:
        return np.asarray(
            getattr(self._candidates.read(), self._part), self.dtype
        )

    def assign(self, array: Any) -> None:
        # The one that comes first is there alone until the other comes.
        found = self._candidates.read() or Found(array, array)
        self._candidates.assign(
            dataclasses.replace(found, **{self._part: array})
        )


def entries(
    model: keras.Model, format: int, names: Sequence[str] | None = None
) -> list[Entry]:
    """What a checkpoint of a format holds of a model, in order.

    Args:
        model: A compiled Keras model.
        format: Number of the format.
        names: Names of what a file holds; None for what one will.

    Returns:
        List of `Entry`, of all variables of the model and its optimizer but
        those of `state`; and of the candidates of stored weights that there
        are, or that are among the names.
    """
    # One that scales the loss gets more variables each time.
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    owners = {
        id(variable): layer
        for layer in _masked_layers(model)
        for variable in layer.state_variables
    }
    places = {
        id(variable)
        for weight in masked_weights(model)
        if isinstance(weight.variable, StoredVariable)
        for variable in weight.variable.where
    }
    found: list[Entry] = []
    for variable in model.variables:
        layer = owners.get(id(variable))
        if layer is None:
            kind = _Places if id(variable) in places else Entry
            found.append(kind(lasting_name(variable.path), variable))
        elif format < FIRST_WITH_STATE_APART:
            if variable is layer.state_variables[0]:
                parent = variable.path.rpartition("/")[0]
                name = f"{parent}/{kept_state.OLD_NAME}".lstrip("/")
                found.append(_OldState(name, layer))
    # Keras numbers the optimizers that a process makes, so the first part
    # of the path of an optimizer's variable says nothing.
    found += [
        Entry(variable.path.partition("/")[2], variable)
        for variable in model.optimizer.variables
    ]
    return found + [
        entry
        for entry in _candidates(model)
        if (entry.name in names if names is not None else entry.is_found)
    ]


def _candidates(model: keras.Model) -> Iterator[_Candidates]:
    for weight in masked_weights(model):
        if isinstance(weight.variable, StoredVariable):
            for part in ("numbers", "scores"):
                name = f"{weight.path}/candidates/{part}"
                yield _Candidates(name, weight.variable, part)


def lasting_name(path: str) -> str:
    """What a variable is called in every process, whatever else it made."""
    return _NUMBERED_SEED.sub("seed_generator/", path)


def state(model: keras.Model) -> list[dict[str, list]]:
    """What callbacks keep in a model: a dict for each masked layer, in
    order, of the numbers that are not 0, by name."""
    return [kept_state.numbers(layer) for layer in _masked_layers(model)]


def checked_state(
    model: keras.Model, found: list[dict[str, list]] | None
) -> list[tuple[Masked, dict]]:
    """What `state` gave, for a model of the same layers.

    Args:
        model: The model.
        found: A list as `state` returns; None where a file has it among the
            variables.

    Returns:
        Pairs of a layer and what `kept_state.assign` takes.

    Raises:
        ValueError: if it is damaged, or of other layers.
    """
    if found is None:
        return []
    layers = _masked_layers(model)
    if len(found) != len(layers):
        raise ValueError(
            f"it holds the state of {len(found)} layers, not {len(layers)}"
        )
    return [
        (layer, kept_state.checked(layer, numbers))
        for layer, numbers in zip(layers, found)
    ]


def storages(model: keras.Model) -> list[list]:
    """How a model stores its sparse weights: for each masked layer, in order,
    the name of the storage and the number of slots, or None."""
    return [[layer.storage, layer.num_slots] for layer in _masked_layers(model)]


def store_alike(
    model: keras.Model, found: list[list] | None, path: str | os.PathLike
) -> None:
    """Let a model store its weights as another of the same layers does.

    No weight is active then: which are, and their values, come later. So
    there is room, whatever the masks are now.

    Args:
        model: A model with whole kernels and masks.
        found: What `storages` gave; None for such kernels.
        path: The checkpoint that it is from.

    Raises:
        UsageError: if it is damaged, or of other layers.
    """
    if found is None:
        return
    try:
        for layer, (storage, num_slots) in zip(
            _masked_layers(model), found, strict=True
        ):
            if storage != layer.storage:
                _empty(layer, num_slots)
                change_storage(layer, storage, num_slots)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"the checkpoint {path} is of another model, or damaged: what it "
            f"says of storages does not fit ({error})"
        ) from error


def _empty(layer: Masked, num_slots: Any) -> None:
    """Make all weights inactive, so that there is room for them."""
    for weight in layer.masked_variables.values():
        grouping = weight.grouping
        if not is_integer(num_slots) or num_slots > grouping.num_groups:
            raise ValueError(f"'{layer.name}' with {num_slots} slots")
        weight.set_mask(np.zeros(grouping.mask_shape, "bool"))


def _masked_layers(model: keras.Model) -> list[Masked]:
    layers = dict.fromkeys(model._flatten_layers())
    return [layer for layer in layers if isinstance(layer, Masked)]
