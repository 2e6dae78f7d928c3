"""Which models and which of their layers can be converted."""

import re
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import NoReturn

import keras
from absl import logging

from dsr_tf.conversion.state import own_variables
from dsr_tf.layers import HELD_KINDS
from dsr_tf.layers import HOLDING_KINDS
from dsr_tf.layers import MASKED_KINDS
from dsr_tf.layers import Clustered
from dsr_tf.layers import Hashed
from dsr_tf.layers import Masked
from dsr_tf.layers.parts import class_of

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
    # A model of a user's may never be told that its layers are built.
    if not model.built and not model.variables:
        raise ValueError(
            f"`{verb}` takes a built model: call it on data, or "
            "`model.build(input_shape)`, first. Received: "
            f"model={model.name!r}, not built"
        )


class Predicate:
    """Says of a layer and its path whether it is wanted.

    Raises:
        ValueError: if `filters` is nothing of that kind.
    """

    def __init__(self, filters: Filters) -> None:
        self._function = filters if callable(filters) else None
        self._patterns: list[re.Pattern[str]] | None = None
        if filters is None or callable(filters):
            return
        given = [filters] if isinstance(filters, str) else filters
        try:
            self._patterns = [re.compile(pattern) for pattern in given]
        except (TypeError, re.error) as error:
            raise ValueError(
                "`filters` must be a regular expression, a list of them, or a "
                f"callable. Received: filters={filters!r} ({error})"
            ) from None

    def __call__(self, layer: keras.layers.Layer, path: str) -> bool:
        if self._function is not None:
            return bool(self._function(layer))
        if self._patterns is None:
            return True
        return any(pattern.search(path) for pattern in self._patterns)

    def check_all_found(self, paths: Collection[str]) -> None:
        """Refuse one of several expressions that no path has: it is mistyped,
        and its layer would be left out without a word. (Where there is one
        expression, that there is nothing to do is told with the reasons.)

        Args:
            paths: Those of all layers of the model.

        Raises:
            ValueError: with the expression.
        """
        if self._patterns is None or len(self._patterns) < 2:
            return
        for pattern in self._patterns:
            if not any(pattern.search(path) for path in paths):
                raise ValueError(
                    f"`filters` has {pattern.pattern!r}, which is found in "
                    "the path of no layer. Accepted are parts of "
                    f"{', '.join(first_few([p for p in paths if p]))}"
                )


def reason_to_skip(layer: keras.layers.Layer, kinds: Mapping[type, Any]) -> str:
    """Why a layer has no kind among some; `""` if it has one."""
    if isinstance(layer, Masked):
        return "it is masked already"
    if isinstance(layer, Hashed):
        return "it is tied already"
    if isinstance(layer, Clustered):
        return "it is clustered already"
    if type(layer) not in kinds:
        verb = "masked" if kinds is MASKED_KINDS else "tied"
        return f"there is no {verb} kind of {class_of(layer).__name__}"
    if getattr(layer, "quantization_mode", None):
        return f"it is quantized to {layer.quantization_mode}"
    return ""


def also_held_by(model: keras.Model) -> Callable[[keras.layers.Layer], str]:
    """A function that says why the kernels of a layer are not its alone.

    Where another layer of the model holds the variable as well, it reads and
    trains what a mask of this one would make inactive.
    """
    holders: dict[int, list[keras.layers.Layer]] = {}
    for layer in dict.fromkeys(model._flatten_layers()):
        # Wrappers of Keras' hold what is of the layer inside.
        if type(layer) in HOLDING_KINDS or type(layer) in HELD_KINDS:
            continue
        for variable in {id(v) for v in own_variables(layer)}:
            holders.setdefault(variable, []).append(layer)

    def reason(layer: keras.layers.Layer) -> str:
        names = MASKED_KINDS[type(layer)]._channel_axes
        for variable in own_variables(layer):
            for other in holders[id(variable)]:
                if other is not layer and variable.name in names:
                    return f"its {variable.name} is held by {other.name} too"
        return ""

    return reason


def refuse_nothing_to_do(
    model: keras.Model, verb: str, skipped: dict[str, str], filters: Filters
) -> NoReturn:
    reasons = [f"{path or model.name}: {why}" for path, why in skipped.items()]
    raise ValueError(
        f"Model '{model.name}' has no layer to {verb}"
        + "".join(f"; {reason}" for reason in first_few(reasons))
        + f". Received: filters={filters!r}"
    )


def report(model: keras.Model, verb: str, skipped: dict[str, str]) -> None:
    """Keep and log which layers have stayed dense, and why."""
    model.skipped_layers = skipped
    if skipped:
        reasons = [
            f"{path or model.name} ({why})" for path, why in skipped.items()
        ]
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
