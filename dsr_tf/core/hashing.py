"""Random numbers inside of a graph, as hashes.

They need no state, so a resumed run draws the same; and hashing is some
thirty times faster than XLA's own generators on a CPU.
"""

import math
from typing import Any

import numpy as np
from keras import ops


def mix(x: Any) -> Any:
    """Spreads every bit of 32 over all (the end of MurmurHash3)."""
    x = (x ^ _shift(x, 16)) * np.uint32(0x85EBCA6B)
    x = (x ^ _shift(x, 13)) * np.uint32(0xC2B2AE35)
    return x ^ _shift(x, 16)


def key_of(seed: Any, *counters: Any) -> Any:
    """What all hashes begin with: another for each seed, step and so on.

    Args:
        seed, counters: Integers, or tensors of one.
    """
    key = mix(ops.cast(seed, "uint32"))
    for counter in counters:
        key = mix((key + np.uint32(0x9E3779B9)) ^ ops.cast(counter, "uint32"))
    return key


def hash_of(positions: Any, key: Any) -> Any:
    """Random 32 bits for each position under a key."""
    positions = ops.cast(positions, "uint32")
    return mix(mix(positions * np.uint32(0x9E3779B1) + key) ^ key)


def noise(bits: Any) -> Any:
    """Numbers of mean 0 and variance 1, normal but for the far tails.

    The sum of the four bytes, scaled: of an exact normal number XLA would
    compute the logarithm several times over, at each place of its use.
    """
    total = ops.zeros(bits.shape, "int32")
    for number in (0, 8, 16, 24):
        byte = _shift(bits, number) % np.uint32(256)
        total += ops.cast(byte, "int32")
    deviation = math.sqrt(4 * (256**2 - 1) / 12)
    return (ops.cast(total, "float32") - 4 * 127.5) / deviation


def uniform(bits: Any) -> Any:
    """24 of the bits as a float32 in (0, 1]."""
    high = ops.cast(ops.cast(_shift(bits, 8), "int32"), "float32")
    return (high + 0.5) * 2.0**-24


def _shift(bits: Any, number: int) -> Any:
    return ops.right_shift(bits, np.uint32(number))
