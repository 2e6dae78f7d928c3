"""The variables of a run by name, as checkpoints of each format have them."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import keras

from dsr_tf.layers import Masked
from dsr_tf.layers import kept_state

# Files of format 2 and before have one variable of state for each masked
# layer, in the place of several.
_FORMAT_WITH_NAMED_STATE = 3


def _accept(array: Any) -> None:
    """Refuse nothing."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """What a checkpoint holds under one name.

    Attributes:
        name: The same in every process.
        shape: Shape of its array.
        dtype: Name of its dtype.
        assign: Function that gives the variable, or variables, their values.
        check: Function that refuses, with a ValueError, an array of the right
            shape and dtype that `assign` cannot take.
    """

    name: str
    shape: tuple
    dtype: str
    assign: Callable
    check: Callable[[Any], Any] = _accept


def variables_of(model: keras.Model) -> list[keras.Variable]:
    """All variables of a compiled model and of its optimizer."""
    model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]


def names_of(model: keras.Model) -> list[str]:
    """Names of `variables_of`; the same in every process.

    Keras numbers the optimizers that a process makes, so the first part of
    the path of an optimizer's variable says nothing.
    """
    own = [variable.path for variable in model.variables]
    slots = [
        variable.path.partition("/")[2]
        for variable in variables_of(model)[len(own) :]
    ]
    return own + slots


def entries(model: keras.Model, format: int) -> list[Entry]:
    """What a checkpoint of a format holds of a model, in order.

    Args:
        model: A compiled Keras model.
        format: Number of the format.

    Returns:
        List of `Entry`.
    """
    owners: dict[int, Masked] = {}
    if format < _FORMAT_WITH_NAMED_STATE:
        for layer in model._flatten_layers():
            if isinstance(layer, Masked):
                owners.update((id(v), layer) for v in layer.state_variables)
    found = []
    for name, variable in zip(names_of(model), variables_of(model)):
        layer = owners.get(id(variable))
        if layer is None:
            found.append(
                Entry(
                    name,
                    tuple(variable.shape),
                    keras.backend.standardize_dtype(variable.dtype),
                    variable.assign,
                )
            )
        elif variable is layer.state_variables[0]:
            found.append(_old_state(name, layer))
    return found


def _old_state(name: str, layer: Masked) -> Entry:
    def assign(numbers: Any) -> None:
        for kept, values in kept_state.from_old(layer, numbers).items():
            getattr(layer, kept).assign(values)

    first = layer.state_variables[0]
    return Entry(
        f"{name.rpartition('/')[0]}/{kept_state.OLD_NAME}".lstrip("/"),
        (kept_state.OLD_SIZE,),
        keras.backend.standardize_dtype(first.dtype),
        assign,
        functools.partial(kept_state.from_old, layer),
    )
