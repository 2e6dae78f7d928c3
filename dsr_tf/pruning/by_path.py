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
    try:
        if isinstance(given, (list, tuple)) and ":" not in "".join(given):
            (number,) = given
            return read(name, float(number))
        if isinstance(given, (Mapping, list, tuple)):
            values = by_expression(given)
            if values and all(map(_is_magnitude, values.values())):
                return values
        elif _is_magnitude(given):
            return given
    except (TypeError, ValueError):
        pass
    raise ValueError(
        f"`{name}` must be a number of at least 0, or a dict {{expression: "
        f"number}}, each expression once. Received: {name}={given!r}"
    )


def by_expression(given: Any) -> dict[str, Any]:
    """Values by regular expression; the values are not checked.

    Args:
        given: A mapping, or a list of `"expression:number"`.

    Raises:
        ValueError: if it is neither, or an expression is not a regular one,
            or there twice.
    """
    try:
        if not isinstance(given, Mapping):
            pairs = [text.rsplit(":", 1) for text in given if text]
            given = {pattern: float(value) for pattern, value in pairs}
            if len(given) < len(pairs):
                raise TypeError("an expression is there twice")
        for pattern in given:
            re.compile(pattern)
    except (AttributeError, TypeError, re.error) as error:
        raise ValueError(f"Not by expression. Received: {given!r}") from error
    return dict(given)


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
