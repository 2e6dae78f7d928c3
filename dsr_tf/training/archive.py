"""`.npz` files of arrays that are checked before they are believed.

A file is read only if it is as `numpy.savez` writes one: each array is as
large as its bytes say, so reading takes no more memory than the file takes
on the disk, whatever the file claims.
"""

import hashlib
import io
import math
import os
import zipfile
from collections.abc import Mapping

import numpy as np


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """All arrays of a `.npz` file, by name.

    Raises:
        Exception: of any kind, if the file is damaged.
    """
    size = os.path.getsize(path)
    with zipfile.ZipFile(path) as file:
        members = file.infolist()
        if sum(max(m.file_size, m.compress_size) for m in members) > size:
            raise ValueError("it claims to hold more than there is")
        if any(m.compress_type != zipfile.ZIP_STORED for m in members):
            raise ValueError("it holds compressed arrays")
        arrays = {
            member.filename.removesuffix(".npy"): _array(file.read(member))
            for member in members
        }
    if len(arrays) != len(members):
        raise ValueError("two of its arrays have one name")
    return arrays


def _array(data: bytes) -> np.ndarray:
    """The array that the bytes of a `.npy` file hold."""
    file = io.BytesIO(data)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    version = np.lib.format.read_magic(file)
    shape, is_fortran, dtype = readers[version](file)
    rest = data[file.tell() :]
    size = math.prod(shape) * dtype.itemsize
    if dtype.hasobject or min(shape, default=0) < 0 or size != len(rest):
        raise ValueError(f"an array of {dtype} and shape {shape} is damaged")
    array = np.frombuffer(rest, dtype)
    return array.reshape(shape, order="F" if is_fortran else "C")


def digest(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """SHA-256 of names, types, shapes and values, as an array of bytes."""
    total = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        array = np.asarray(array)
        total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        octets = np.ascontiguousarray(array).reshape(-1).view("uint8")
        total.update(octets.data)
    return np.frombuffer(total.digest(), "uint8")
