"""Packing a long array that is mostly zeros, without loss.

An array becomes three byte strings. `gaps` has the positions of the
non-zeros (`dsr_tf.core.sparse_arrays`). The bytes of the values follow in
planes, all first bytes, then all second ones: of the high planes (sign,
exponent, top of the mantissa) some values are far more frequent, so they
are compressed; the low ones are noise, kept raw.
"""

import dataclasses
from typing import Any

import ml_dtypes
import numpy as np
import tensorflow as tf

from dsr_tf.core import sparse_arrays

DTYPES = {
    "float32": np.dtype("float32"),
    "float16": np.dtype("float16"),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}


@dataclasses.dataclass(frozen=True)
class Packed:
    """A packed array of float32.

    Attributes:
        gaps, high, low: Bytes: zlib, zlib, raw.
        size: Number of values, zeros included.
        num_narrow, num_wide: Number of non-zeros that are stored in two
            bytes, and after them in four.
        narrow: Name of the dtype in two bytes.
    """

    gaps: bytes
    high: bytes
    low: bytes
    size: int
    num_narrow: int
    num_wide: int
    narrow: str

    @property
    def parts(self) -> dict[str, bytes]:
        """Dict of the three byte strings by name."""
        return {"gaps": self.gaps, "high": self.high, "low": self.low}


def pack(
    values: np.ndarray, narrow: str = "float32", num_narrow: int = 0
) -> Packed:
    """Pack a float32 array `(n,)`.

    Args:
        values: The array.
        narrow: `"float16"` or `"bfloat16"`, which must hold the first
            `num_narrow` values exactly; `"float32"` for none of them.

    Returns:
        A `Packed`.

    Raises:
        ValueError: if there are more than 2**31 - 1 values, which the
            32-bit positions of the decoder cannot number.
    """
    if values.size >= 2**31:
        raise ValueError(
            "A model of at most 2**31 - 1 weights can be packed. Received: "
            f"{values.size} weights"
        )
    used = values != 0
    if narrow == "float32":
        num_narrow = 0
    short = _bytes_of(values[:num_narrow][used[:num_narrow]], narrow)
    long = _bytes_of(values[num_narrow:][used[num_narrow:]], "float32")
    if narrow == "float32":
        short = np.zeros((2, 0), "uint8")
    high = [short[0], long[0], long[1]]
    low = [short[1], long[2], long[3]]
    return Packed(
        sparse_arrays.pack_positions(used),
        sparse_arrays.compress(np.concatenate(high).tobytes()),
        np.concatenate(low).tobytes(),
        values.size,
        short.shape[1],
        long.shape[1],
        narrow,
    )


def positions(gaps: Any) -> Any:
    """Positions of the non-zeros, an int32 tensor, from the tensor `gaps`."""
    codes = tf.cast(_octets(gaps), tf.int32)
    ends = tf.not_equal(codes, sparse_arrays.SKIP)
    advance = tf.cumsum(codes + tf.cast(ends, tf.int32))
    return tf.boolean_mask(advance, ends) - 1


def nonzeros(high: Any, low: Any, packed: Packed) -> Any:
    """The values of the non-zeros, their bits as an int32 tensor.

    As integers, because arithmetic on floats flushes the smallest to 0.

    Args:
        high, low: String tensors.
        packed: The `Packed` that they come from, for its numbers.
    """
    k, n = packed.num_narrow, packed.num_wide
    high = tf.split(_octets(high), [k, n, n])
    low = tf.split(tf.io.decode_raw(low, tf.uint8), [k, n, n])
    wide = tf.stack([low[2], low[1], high[2], high[1]], axis=1)
    wide = tf.bitcast(wide, tf.int32)
    if packed.narrow == "float32":
        return wide
    short = tf.stack([low[0], high[0]], axis=1)
    if packed.narrow == "bfloat16":
        short = tf.bitwise.left_shift(
            tf.cast(tf.bitcast(short, tf.uint16), tf.int32), 16
        )
    else:
        short = tf.cast(tf.bitcast(short, tf.float16), tf.float32)
        short = tf.bitcast(short, tf.int32)
    return tf.concat([short, wide], axis=0)


def unpack(gaps: Any, high: Any, low: Any, packed: Packed) -> Any:
    """The inverse of `pack`, as TensorFlow operations.

    Args:
        gaps, high, low: String tensors.
        packed: The `Packed` that they come from, for its numbers.

    Returns:
        float32 tensor `(packed.size,)`.
    """
    found = tf.scatter_nd(
        positions(gaps)[:, None], nonzeros(high, low, packed), [packed.size]
    )
    return tf.bitcast(found, tf.float32)


def _bytes_of(values: np.ndarray, dtype: str) -> np.ndarray:
    """Bytes of values, `(bytes, n)`, the highest first."""
    values = values.astype(DTYPES[dtype])
    octets = values.view("uint8").reshape(-1, values.itemsize)
    return np.ascontiguousarray(octets[:, ::-1].T)


def _octets(compressed: Any) -> Any:
    raw = tf.io.decode_compressed(compressed, "ZLIB")
    return tf.io.decode_raw(raw, tf.uint8)
