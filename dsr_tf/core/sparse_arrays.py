"""Arrays that are mostly zeros, in files: positions and values, no zeros.

Positions are stored as gaps: a byte for each says how many places come
before it; 255 stands for 255 places and no position. At random places gaps
follow a geometric law, which zlib's Huffman code stores close to their
entropy. Nothing is lost: a value is zero if all of its bits are.
"""

import math
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

# The code of 255 places that no position follows.
SKIP = 255


def pack_positions(
    mask: np.ndarray, counts: Sequence[int] | np.ndarray = ()
) -> bytes:
    """Where a flat array of booleans (or codes) is not 0, as bytes.

    Args:
        mask: The array.
        counts: How many positions in turn have a Huffman code of their own,
            all of them; by default all have one.
    """
    return pack_places(np.flatnonzero(mask), counts)


def pack_places(
    positions: np.ndarray, counts: Sequence[int] | np.ndarray = ()
) -> bytes:
    """The same of the positions themselves, an ascending integer array."""
    gaps = np.diff(positions, prepend=-1) - 1
    skips, last = np.divmod(gaps, SKIP)
    ends = np.cumsum(skips + 1) - 1
    codes = np.full(int(ends[-1]) + 1 if ends.size else 0, SKIP, "uint8")
    codes[ends] = last
    borders = ends[np.cumsum(counts, dtype="int64")[:-1] - 1] + 1
    return compress(*(part.tobytes() for part in np.split(codes, borders)))


def unpack_positions(gaps: Any, size: int) -> np.ndarray:
    """The inverse of `pack_positions`.

    Args:
        gaps: Bytes, or an array of them.
        size: Number of places.

    Returns:
        Integer array of positions, ascending.

    Raises:
        ValueError: if the bytes are damaged.
    """
    codes = np.frombuffer(_decompress(gaps, size), "uint8")
    ends = codes != SKIP
    positions = np.cumsum(codes + ends.astype("int64"))[ends] - 1
    if positions.size and positions[-1] >= size:
        raise ValueError(
            f"Packed positions are damaged: position {positions[-1]} of "
            f"{size} places"
        )
    return positions


def pack_codes(codes: np.ndarray) -> bytes:
    """Numbers below 256 as bytes, by a Huffman code of their own."""
    return compress(np.asarray(codes, "uint8").tobytes())


def unpack_codes(data: Any, number: int) -> np.ndarray:
    """The inverse of `pack_codes`.

    Args:
        data: Bytes, or an array of them.
        number: How many codes there must be.

    Returns:
        uint8 array `(number,)`.

    Raises:
        ValueError: if the bytes are damaged.
    """
    codes = np.frombuffer(_decompress(data, number), "uint8")
    if codes.size != number:
        raise ValueError(
            f"Packed codes are damaged: {codes.size} codes, not {number}"
        )
    return codes


def _decompress(gaps: Any, size: int) -> bytes:
    """The codes of positions among `size` places: at most a byte for each.

    A few bytes may claim to stand for any number, so no more are made, nor
    more read than so many can take.
    """
    # Before they are read: of a file, this is an array only by its name.
    shape = (len(gaps),) if isinstance(gaps, bytes) else np.shape(gaps)
    if math.prod(shape) > size + size // 8 + 64:
        raise ValueError(
            f"Packed positions are damaged: {math.prod(shape)} bytes for "
            f"{size} places"
        )
    if not isinstance(gaps, bytes):
        gaps = np.asarray(gaps, "uint8").tobytes()
    decoder = zlib.decompressobj()
    try:
        codes = decoder.decompress(gaps, size + 1)
    except zlib.error as error:
        raise ValueError(f"Packed positions are damaged: {error}") from error
    if len(codes) > size:
        raise ValueError(
            f"Packed positions are damaged: more than {size} codes for as "
            "many places"
        )
    if not decoder.eof or decoder.unused_data:
        raise ValueError("Packed positions are damaged: incomplete, or longer")
    return codes


def compress(*parts: bytes) -> bytes:
    """zlib by Huffman's code alone, each part by a code of its own.

    Neither gaps nor exponents hold repeated strings: searching for them, as
    zlib does by default, takes 30 times as long and stores more.
    """
    coder = zlib.compressobj(
        zlib.Z_BEST_COMPRESSION, zlib.DEFLATED, 15, 9, zlib.Z_HUFFMAN_ONLY
    )
    packed = [
        coder.compress(part) + coder.flush(zlib.Z_BLOCK) for part in parts[:-1]
    ]
    packed.append(b"".join(coder.compress(part) for part in parts[-1:]))
    return b"".join([*packed, coder.flush()])


def bits_of(array: np.ndarray) -> np.ndarray:
    """The values of an array as flat unsigned integers of their bits."""
    return np.ascontiguousarray(array).reshape(-1).view(f"u{array.itemsize}")


def put(store: Any, name: str, array: np.ndarray) -> None:
    """Store an array, as its non-zeros where that is smaller.

    Args:
        store: A mapping that takes arrays, such as Keras' stores of weights.
        name: It is stored under `name`, or `name.gaps` and `name.values`.
        array: The array; of booleans the values are not stored.
    """
    bits = bits_of(array)
    if 2 * np.count_nonzero(bits) >= bits.size:
        store[name] = array
        return
    store[f"{name}.gaps"] = np.frombuffer(pack_positions(bits), "uint8")
    if array.dtype != bool:
        store[f"{name}.values"] = array.reshape(-1)[bits != 0]


def get(store: Any, name: str, shape: Sequence[int]) -> np.ndarray:
    """Read what `put` has stored.

    Args:
        store: A mapping.
        name: The name.
        shape: Shape of the array.

    Raises:
        KeyError: if there is nothing of that name.
        ValueError: if it is damaged, or of another shape.
    """
    if f"{name}.gaps" not in store.keys():
        return store[name]
    size = math.prod(shape)
    positions = unpack_positions(store[f"{name}.gaps"], size)
    values = np.ones(len(positions), "bool")
    if f"{name}.values" in store.keys():
        values = store[f"{name}.values"]
    if values.shape != positions.shape:
        raise ValueError(
            f"{name} is damaged: {len(positions)} positions and "
            f"{values.size} values"
        )
    array = np.zeros(size, values.dtype)
    array[positions] = values
    return array.reshape(shape)


def names(store: Any) -> set[str]:
    """Names of the arrays that `put` has stored, each once."""
    return {key.partition(".")[0] for key in store.keys()}
