"""How many bits say which weight stands at a place, as flags have it."""

import re

from dsr_tf.layers.clustered import check_bits


def parse_bits(text: str) -> int | dict[str, int]:
    """Bits as they are written in flags.

    Args:
        text: An integer from 1 to 8, or `REGEX:BITS,REGEX:BITS`.

    Returns:
        The number, or a dict from regular expressions to numbers.

    Raises:
        ValueError: if it is neither.
    """
    pairs = [part.rpartition(":") for part in text.split(",")]
    try:
        bits = {name: check_bits(int(number)) for name, _, number in pairs}
        for name in bits:
            re.compile(name)
    except (ValueError, re.error):
        bits = {}
    if len(bits) != len(pairs) or ("" in bits) != (":" not in text):
        raise ValueError(
            "must be an integer from 1 to 8, or a list REGEX:BITS,... of such, "
            "each expression once"
        )
    return bits.get("", bits)
