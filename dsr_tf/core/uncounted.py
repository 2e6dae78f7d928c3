"""Functions that many models compile, each once."""

import functools
from collections.abc import Callable
from typing import Any


def uncounted(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, as another object each time.

    TensorFlow counts how often the code of a function was compiled, of
    whatever object it is a method, and warns at the fifth time as if one model
    compiled again and again. It has no code to count by in what this returns.
    """
    return functools.partial(function)
