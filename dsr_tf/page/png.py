"""Pixels as pictures inside of a page."""

import base64
import struct
import zlib

import numpy as np

# Shades that a picture has: 16 take half the bytes of 256.
_LEVELS = 16


def data_uri(pixels: np.ndarray, color: tuple[int, int, int]) -> str:
    """An image in one colour, of which more is seen where values are larger.

    Where they are 0 one sees through it, so it is good on light and on dark.

    Args:
        pixels: uint8 array `(height, width)`.
        color: Red, green and blue, 0 to 255.
    """
    height, width = pixels.shape
    levels = np.rint(pixels / 255 * (_LEVELS - 1)).astype("uint8")
    # What is active at all is seen.
    levels[(pixels > 0) & (levels == 0)] = 1
    padded = np.zeros((height, width + width % 2), "uint8")
    padded[:, :width] = levels
    packed = padded[:, ::2] << 4 | padded[:, 1::2]
    rows = np.zeros((height, packed.shape[1] + 1), "uint8")  # No filter.
    rows[:, 1:] = packed
    opacities = bytes(round(255 * i / (_LEVELS - 1)) for i in range(_LEVELS))
    content = b"".join(
        _chunk(name, data)
        for name, data in (
            # Four bits a pixel, which are numbers of colours.
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 4, 3, 0, 0, 0)),
            (b"PLTE", bytes(color) * _LEVELS),
            (b"tRNS", opacities),
            (b"IDAT", zlib.compress(rows.tobytes(), level=9)),
            (b"IEND", b""),
        )
    )
    encoded = base64.b64encode(b"\x89PNG\r\n\x1a\n" + content).decode()
    return f"data:image/png;base64,{encoded}"


def _chunk(name: bytes, data: bytes) -> bytes:
    check = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)
