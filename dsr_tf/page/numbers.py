"""Numbers as readers like them."""

import math

# No line ends between a number and its sign.
_PERCENT = "\u00a0%"


def percent(share: float) -> str:
    """A share in percent, with about three digits."""
    value = 100 * share
    size = abs(value)
    if size == 0 or size >= 99.95:
        digits = 0
    elif size >= 10:
        digits = 1
    else:
        # Two digits that are not 0, and no more than four places.
        digits = min(4, max(1, 1 - math.floor(math.log10(size))))
    return f"{value:,.{digits}f}{_PERCENT}"


def round_percent(share: float) -> str:
    """A share in percent, without digits that are 0, for axes."""
    return f"{100 * share:.4g}{_PERCENT}"


def count(number: float) -> str:
    """A number of things, all digits of it."""
    return f"{number:,.0f}"


def short(number: float) -> str:
    """A number of things in at most four letters, for axes."""
    size = abs(number)
    for unit, name in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size >= unit:
            return f"{number / unit:.3g}{name}"
    return f"{number:.3g}"


def plain(number: float) -> str:
    """A number of any kind, with up to three digits."""
    return f"{number:.3g}"


def size(num_bytes: float) -> str:
    """Bytes, in the largest unit that is not above them."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if num_bytes >= unit:
            return f"{num_bytes / unit:,.1f} {name}"
    return f"{num_bytes:,.0f} bytes"


def signed(number: float) -> str:
    """A change in a number of things."""
    return f"{number:+,.0f}".replace("-", "−")
