"""Which models and which of their layers can be converted."""

import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import NoReturn

import keras
from absl import logging

from dsr_tf.conversion.graph import copy_layer
from dsr_tf.conversion.graph import is_graph
from dsr_tf.core.granularity import DoesNotFit
from dsr_tf.core.granularity import Granularity
from dsr_tf.layers import MASKED_KINDS
from dsr_tf.layers import Hashed
from dsr_tf.layers import Masked

# Which layers to convert, as users say it.
Filters = str | Iterable[str] | Callable[[keras.layers.Layer], bool] | None

# A message names at most this many of the layers.
_NAMED = 3


def check_model(model: object, verb: str) -> None:
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"`{verb}` takes a Keras model. Received: model={model!r} of "
            f"type {type(model).__name__}"
        )
    if not is_graph(model):
        raise ValueError(
            f"`{verb}` takes a Sequential or functional model: what a "
            "subclassed model does cannot be copied. Use the layers of "
            "`dsr_tf.layers` in its code instead. Received: "
            f"model={model.name!r} of type {type(model).__name__}"
        )
    if not model.built:
        raise ValueError(
            f"`{verb}` takes a built model: call it on data, or "
            "`model.build(input_shape)`, first. Received: "
            f"model={model.name!r}, not built"
        )


def as_predicate(filters: Filters) -> Callable[[keras.layers.Layer], bool]:
    if filters is None:
        return lambda layer: True
    if callable(filters):
        return filters
    given = [filters] if isinstance(filters, str) else filters
    try:
        patterns = [re.compile(pattern) for pattern in given]
    except (TypeError, re.error) as error:
        raise ValueError(
            "`filters` must be a regular expression, a list of them, or a "
            f"callable. Received: filters={filters!r} ({error})"
        ) from None
    return lambda layer: any(p.search(layer.name) for p in patterns)


def reason_to_skip(
    layer: keras.layers.Layer,
    wanted: Callable[[keras.layers.Layer], bool],
    kinds: Mapping[type, Any],
    granularity: Granularity | None = None,
) -> str | None:
    if isinstance(layer, Masked):
        return "it is masked already"
    if isinstance(layer, Hashed):
        return "it is tied already"
    if type(layer) not in kinds:
        verb = "masked" if kinds is MASKED_KINDS else "tied"
        return f"there is no {verb} kind of {type(layer).__name__}"
    if getattr(layer, "quantization_mode", None):
        return f"it is quantized to {layer.quantization_mode}"
    if not wanted(layer):
        return "the filters leave it out"
    if granularity is not None:
        kind = MASKED_KINDS[type(layer)]
        try:
            for name in kind.masked_names:
                shape = getattr(layer, name).shape
                kind.grouping_of(layer, name, shape, granularity)
        except DoesNotFit as error:
            return error.reason
    return None


def skip(
    layer: keras.layers.Layer, reason: str, skipped: dict[str, str]
) -> keras.layers.Layer:
    if layer.weights:
        skipped[layer.name] = reason
    return copy_layer(layer)


def refuse_nothing_to_do(
    model: keras.Model, verb: str, skipped: dict[str, str], filters: Filters
) -> NoReturn:
    reasons = [f"{name}: {why}" for name, why in skipped.items()]
    raise ValueError(
        f"Model '{model.name}' has no layer to {verb}"
        + "".join(f"; {reason}" for reason in first_few(reasons))
        + f". Received: filters={filters!r}"
    )


def report(model: keras.Model, verb: str, skipped: dict[str, str]) -> None:
    """Keep and log which layers have stayed dense, and why."""
    model.skipped_layers = skipped
    if skipped:
        reasons = [f"{name} ({why})" for name, why in skipped.items()]
        logging.info(
            "%s left these layers dense: %s (all are in `skipped_layers`)",
            verb,
            "; ".join(first_few(reasons)),
        )


def first_few(items: list[str]) -> list[str]:
    """The first of some texts, and how many others there are."""
    others = len(items) - _NAMED
    # The name of one more takes no more room than "and 1 more".
    if others <= 1:
        return items
    return [*items[:_NAMED], f"and {others} more"]
