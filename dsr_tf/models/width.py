"""Thinner and wider versions of a network, and the width for a budget."""

from collections.abc import Callable

# The relative precision with which a width is found.
_PRECISION = 1e-4
# No network is wider; the widest in papers have a width of about 10.
MAX_WIDTH = 2.0**20


def scaled(number: int, width: float) -> int:
    """`number` of units or channels times `width`, rounded, at least 1."""
    return max(1, round(number * width))


def find_width(num_parameters: Callable[[float], int], budget: int) -> float:
    """The largest width whose network has at most `budget` parameters.

    Args:
        num_parameters: Function from a width to the number of parameters
            of the network, which does not fall as the width grows.
        budget: Most parameters.

    Returns:
        The width, found by bisection to one part in 10,000.

    Raises:
        ValueError: if even the thinnest network has more parameters, or
            even that of `MAX_WIDTH` does not have more.
    """
    low, high = _PRECISION, 1.0
    least = num_parameters(low)
    if least > budget:
        raise ValueError(
            "`budget` must be at least the parameters of the thinnest "
            f"network, {least}. Received: budget={budget}"
        )
    while num_parameters(high) <= budget:
        if high >= MAX_WIDTH:
            raise ValueError(
                "`budget` must be at most the parameters of the network of "
                f"width {MAX_WIDTH:g}. Received: budget={budget}"
            )
        low, high = high, 2 * high
    while high - low > _PRECISION * high:
        middle = (low + high) / 2
        if num_parameters(middle) <= budget:
            low = middle
        else:
            high = middle
    return low
