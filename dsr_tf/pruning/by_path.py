"""A number for all kernels, or one for those of each expression."""

import math
import re
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias

from dsr_tf.core.checks import is_number
from dsr_tf.layers.masked_weights import MaskedWeight

ByPath: TypeAlias = float | dict[str, float]


def read(name: str, given: Any) -> ByPath:
    """What was given for kernels, checked.

    Args:
        name: Name of the argument.
        given: A number; a mapping from regular expressions to numbers; or a
            list of `"expression:number"`, as flags have it.

    Raises:
        ValueError: if it is none of these, or a number is not finite or
            below 0.
    """
    values = given
    try:
        if isinstance(values, (list, tuple)):
            pairs = [text.rsplit(":", 1) for text in values]
            if len(pairs) == 1 and len(pairs[0]) == 1:
                return read(name, float(pairs[0][0]))
            values = {pattern: float(value) for pattern, value in pairs}
        if isinstance(values, Mapping):
            for pattern in values:
                re.compile(pattern)
            if values and all(map(_is_magnitude, values.values())):
                return dict(values)
        elif _is_magnitude(values):
            return values
    except (AttributeError, TypeError, ValueError, re.error):
        pass
    raise ValueError(
        f"`{name}` must be a number of at least 0, or a dict {{expression: "
        f"number}}. Received: {name}={given!r}"
    )


def find(given: ByPath, path: str) -> float | None:
    """The number for the kernel of a path; None where none is for it."""
    if not isinstance(given, dict):
        return given
    return next((v for p, v in given.items() if re.search(p, path)), None)


def check(name: str, given: ByPath, weights: Sequence[MaskedWeight]) -> None:
    """Refuse expressions that do not fit the paths of kernels.

    Raises:
        ValueError: if one is found in no path, or several in the same.
    """
    patterns = list(given) if isinstance(given, dict) else []
    paths = [weight.path for weight in weights]
    for pattern in patterns:
        if not any(re.search(pattern, path) for path in paths):
            raise ValueError(
                f"`{name}` must name kernels that there are: {pattern!r} is "
                f"found in none of {', '.join(paths)}. Received: {name}={given}"
            )
    for path in paths:
        if sum(bool(re.search(p, path)) for p in patterns) > 1:
            raise ValueError(
                f"`{name}` must match each kernel once. {path} is matched by "
                f"several of {patterns}. Received: {name}={given}"
            )


def _is_magnitude(value: Any) -> bool:
    return is_number(value) and 0 <= value and math.isfinite(value)
