"""The state of an optimizer, cut as the variables that it trains are."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from dsr_tf.core import optimizer_slots
from dsr_tf.structure.removal.cutting import cut


def copy_slots(
    model: keras.Model, narrowed: keras.Model, cuts: Mapping[int, Any]
) -> None:
    """Let the optimizer of a narrowed model go on where another one is.

    Args:
        model: The compiled model.
        narrowed: The copy, compiled alike.
        cuts: What stays along axes of variables of the model, by identity.

    Raises:
        ValueError: if the model has no optimizer, or one with variables
            that are not cut like those that it trains.
    """
    old = getattr(model, "optimizer", None)
    new = getattr(narrowed, "optimizer", None)
    if old is None or new is None:
        raise ValueError(
            "`optimizer=True` needs a model that is compiled, as its copy can "
            f"be. Received: model '{model.name}' with optimizer="
            f"{old and type(old).__name__}"
        )
    if not old.built:
        return
    new.build(narrowed.trainable_variables)
    axes: dict[int, Mapping[int, Any]] = {}
    for variable in model.trainable_variables:
        for slot, _ in optimizer_slots.slots(old, variable):
            axes[id(slot)] = cuts.get(id(variable), {})
    for ours, theirs in zip(old.variables, new.variables, strict=True):
        values = cut(ops.convert_to_numpy(ours), axes.get(id(ours), {}))
        if values.shape != tuple(theirs.shape):
            raise ValueError(
                f"{type(old).__name__} cannot go on with a narrowed model: "
                f"its variable {ours.path} {tuple(ours.shape)} is not cut as "
                "weights are. Compile the copy with a new optimizer."
            )
        theirs.assign(values)
