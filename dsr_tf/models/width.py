"""Thinner and wider versions of a network, and the width for a budget."""

# Widths are found to this part of themselves.
_PRECISION = 1e-4


def scaled(number, width):
    """`number` of units or channels times `width`, rounded, at least 1."""
    return max(1, round(number * width))


def find_width(num_parameters, budget):
    """The largest width whose network has at most `budget` parameters.

    Args:
        num_parameters: Function from a width to the number of parameters
            of the network, which does not fall as the width grows.
        budget: Most parameters.

    Returns:
        The width, found by bisection to one part in 10,000.

    Raises:
        ValueError: if the network of the least width has more.
    """
    low, high = _PRECISION, 1.0
    least = num_parameters(low)
    if least > budget:
        raise ValueError(
            "`budget` must be at least the parameters of the thinnest "
            f"network, {least}. Received: budget={budget}"
        )
    while num_parameters(high) <= budget:
        low, high = high, 2 * high
    while high - low > _PRECISION * high:
        middle = (low + high) / 2
        if num_parameters(middle) <= budget:
            low = middle
        else:
            high = middle
    return low
