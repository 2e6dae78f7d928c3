"""The rules that there are, by what they are for."""

from collections.abc import Callable
from typing import Any
from typing import TypeVar

import keras

from dsr_tf.layers import DENSE_KINDS
from dsr_tf.layers import HELD_KINDS
from dsr_tf.layers import Clustered
from dsr_tf.layers import Hashed

Rule = Callable[[Any], Any]
_AnyRule = TypeVar("_AnyRule", bound=Rule)

# By class; operations such as `keras.ops.add`, whose classes are not public,
# by the name of their class.
RULES: dict[type | str, Rule] = {}


def register(*kinds: type | str) -> Callable[[_AnyRule], _AnyRule]:
    """Decorator: register the rule of kinds of layers.

    A rule is for the class itself and not for those derived from it, which
    may compute something else.

    Args:
        *kinds: Classes of layers; or names of Keras' operations, such as
            `"Relu"` for `keras.ops.relu(x)`.

    Raises:
        TypeError: if something is neither.
    """
    for kind in kinds:
        is_layer = isinstance(kind, type) and issubclass(
            kind, keras.layers.Layer
        )
        if not is_layer and not isinstance(kind, str):
            raise TypeError(
                "`register` takes classes of layers, or names of Keras' "
                f"operations. Received: {kind!r}"
            )

    def add(rule: _AnyRule) -> _AnyRule:
        RULES.update(dict.fromkeys(kinds, rule))
        return rule

    return add


def rule_of(operation: Any) -> Rule | None:
    """The rule of a layer or operation; None if there is none."""
    if isinstance(operation, (Hashed, Clustered)):
        return None  # Its channels share weights.
    return rule_of_kind(operation)


def rule_of_kind(operation: Any) -> Rule | None:
    """As `rule_of`, also where channels share weights."""
    kind = kind_of(operation)
    if kind in RULES:
        return RULES[kind]
    if isinstance(operation, keras.layers.Layer):
        return None
    if not kind.__module__.startswith("keras."):
        return None
    return RULES.get(kind.__name__)


def kind_of(layer: Any) -> type:
    """The class of a layer, or of what a masked one was as a dense one."""
    kind = type(layer)
    return DENSE_KINDS.get(kind, HELD_KINDS.get(kind, kind))
