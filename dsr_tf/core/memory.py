"""How much memory there is, so that what is absurd is refused before."""

import math
import os

import keras
import numpy as np

_CGROUP = "/sys/fs/cgroup/memory.max"


def total() -> int:
    """Bytes of memory that this process may use: the machine's, or fewer
    where a container has a limit."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        with open(_CGROUP) as file:
            return min(machine, int(file.read()))
    except (OSError, ValueError):
        return machine


def check(num_bytes: float, what: str) -> None:
    """Refuse what cannot fit.

    Args:
        num_bytes: Number of bytes that it takes.
        what: What takes them, the beginning of the sentence.

    Raises:
        ValueError: if it is more than `total()`.
    """
    if num_bytes > total():
        raise ValueError(
            f"{what} would take {_gigabytes(num_bytes)} of memory, and here "
            f"are {_gigabytes(total())}"
        )


def num_bytes(variable: keras.Variable) -> int:
    """Bytes that a Keras variable takes, on one device."""
    dtype = keras.backend.standardize_dtype(variable.dtype)
    return math.prod(variable.shape) * np.dtype(dtype).itemsize


def _gigabytes(num_bytes: float) -> str:
    return f"{num_bytes / 1e9:,.0f} GB" if num_bytes < 1e18 else "too many GB"
