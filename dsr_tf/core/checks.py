"""What counts as a number in an argument: a boolean does not."""

import numbers
from typing import TypeGuard


def is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def check_fraction(fraction: object) -> None:
    """Refuse what is no number between 0 and 1.

    Raises:
        ValueError: if `fraction` is not a number in (0, 1).
    """
    if not is_number(fraction) or not 0 < fraction < 1:
        raise ValueError(
            "`fraction` must be a number in (0, 1). Received: "
            f"fraction={fraction!r}"
        )
