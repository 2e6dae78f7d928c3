"""Random numbers inside of a graph, as hashes.

They need no state, so a resumed run draws the same; and hashing is some
thirty times faster than XLA's own generators on a CPU.
"""

import math
from typing import Any

import numpy as np


def mix(x: Any) -> Any:
    """Spreads every bit of 32 over all (the end of MurmurHash3)."""
    import tensorflow as tf

    shift = tf.bitwise.right_shift
    x = (x ^ shift(x, np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ shift(x, np.uint32(13))) * np.uint32(0xC2B2AE35)
    return x ^ shift(x, np.uint32(16))


def hash_of(positions: Any, key: Any) -> Any:
    """Random 32 bits for each position under a key."""
    import tensorflow as tf

    positions = tf.cast(positions, "uint32")
    return mix(mix(positions * np.uint32(0x9E3779B1) + key) ^ key)


def noise(bits: Any) -> Any:
    """Numbers of mean 0 and variance 1, normal but for the far tails.

    The sum of the four bytes, scaled: of an exact normal number XLA would
    compute the logarithm several times over, at each place of its use.
    """
    import tensorflow as tf

    total = tf.zeros(bits.shape, "int32")
    for shift in (0, 8, 16, 24):
        byte = tf.bitwise.right_shift(bits, np.uint32(shift)) % np.uint32(256)
        total += tf.cast(byte, "int32")
    deviation = math.sqrt(4 * (256**2 - 1) / 12)
    return (tf.cast(total, "float32") - 4 * 127.5) / deviation


def uniform(bits: Any) -> Any:
    """24 of the bits as a float32 in (0, 1)."""
    import tensorflow as tf

    high = tf.bitwise.right_shift(bits, np.uint32(8))
    return (tf.cast(tf.cast(high, "int32"), "float32") + 0.5) * 2.0**-24
