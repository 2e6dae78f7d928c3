"""Packing a long array that is mostly zeros, without loss.

An array becomes three byte strings. `gaps` has a byte for each non-zero: how
many zeros come before it; 255 stands for 255 zeros and no value. The bytes
of the values follow in planes, all first bytes, then all second ones: of
the two high planes (sign, exponent, top of the mantissa) some values are
far more frequent, so they are compressed; the low ones are noise, kept raw.

At random places gaps follow a geometric law, which zlib's Huffman code
stores close to their entropy.
"""

import zlib

import numpy as np

# The code of 255 zeros that no value follows.
_SKIP = 255


def pack(values):
    """Pack a float32 array `(n,)`.

    Returns:
        Tuple `(gaps, high_planes, low_planes)` of bytes: zlib, zlib, raw.

    Raises:
        ValueError: if there are more than 2**31 - 1 values, which the
            32-bit positions of the decoder cannot number.
    """
    if values.size >= 2**31:
        raise ValueError(
            "A model of at most 2**31 - 1 weights can be packed. Received: "
            f"{values.size} weights"
        )
    positions = np.flatnonzero(values)
    gaps = np.diff(positions, prepend=-1) - 1
    skips, last = np.divmod(gaps, _SKIP)
    ends = np.cumsum(skips + 1) - 1
    codes = np.full(int(ends[-1]) + 1 if ends.size else 0, _SKIP, "uint8")
    codes[ends] = last
    octets = values[positions].astype("<f4").view("uint8").reshape(-1, 4)
    planes = np.ascontiguousarray(octets[:, ::-1].T)
    return (
        _compress(codes.tobytes()),
        _compress(planes[:2].tobytes()),
        planes[2:].tobytes(),
    )


def unpack(gaps, high_planes, low_planes, size):
    """The inverse of `pack`, as TensorFlow operations.

    Args:
        gaps, high_planes, low_planes: String tensors, from `pack`.
        size: Number of values, an int.

    Returns:
        float32 tensor `(size,)`.
    """
    import tensorflow as tf

    def octets(compressed):
        raw = tf.io.decode_compressed(compressed, "ZLIB")
        return tf.io.decode_raw(raw, tf.uint8)

    codes = tf.cast(octets(gaps), tf.int32)
    ends = tf.not_equal(codes, _SKIP)
    advance = tf.cumsum(codes + tf.cast(ends, tf.int32))
    positions = tf.boolean_mask(advance, ends) - 1
    planes = tf.concat(
        [octets(high_planes), tf.io.decode_raw(low_planes, tf.uint8)], axis=0
    )
    planes = tf.reshape(planes, [4, -1])
    # As integers: arithmetic on floats would flush the smallest to 0.
    values = tf.bitcast(tf.transpose(planes[::-1]), tf.int32)
    return tf.bitcast(
        tf.scatter_nd(positions[:, None], values, [size]), tf.float32
    )


def _compress(data):
    # Neither gaps nor exponents hold repeated strings: searching for them,
    # as zlib does by default, takes 30 times as long and stores more.
    coder = zlib.compressobj(
        zlib.Z_BEST_COMPRESSION, zlib.DEFLATED, 15, 9, zlib.Z_HUFFMAN_ONLY
    )
    return coder.compress(data) + coder.flush()
