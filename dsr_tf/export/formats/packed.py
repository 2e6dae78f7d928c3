"""One small file for Keras and this package: what layers save, packed.

A `.keras` file of a small network is mostly what surrounds its weights. Here
are its architecture, compressed, and after it the bytes that layers save, one
after another: of masked kernels places and values, of clustered ones places
and codes by Huffman's code, and a codebook.
"""

import json
import math
import os
import zlib
from typing import Any

import keras
import numpy as np
from keras import ops

from dsr_tf.export import architecture
from dsr_tf.export import digest
from dsr_tf.export import packing
from dsr_tf.export import target
from dsr_tf.export.format import ExportFormat
from dsr_tf.export.format import Report
from dsr_tf.export.runnable import RunnableModel
from dsr_tf.export.runnable import loading
from dsr_tf.export.runnable import runnable_keras
from dsr_tf.layers.masked_weights import layers_with_paths

_SUFFIX = ".packed"
# What a file begins with, and then twice four bytes: how long its header is,
# and a checksum (CRC-32) of all that follows.
_MAGIC = b"dsr_tf packed 1\n"
_LARGEST_HEADER = 2**26


def packed(model: keras.Model, path: str | os.PathLike) -> None:
    """Write a model as one small file, which `load_packed` reads.

    For a clustered model this is Deep Compression's last step (Han et al.,
    2016, section 4). Nothing is lost but the optimizer's state.

    Args:
        model: A built Keras model that is made again from its configuration.
        path: File to write, ending in `.packed`, which must not exist; its
            SHA-256 is written beside, to `PATH.sha256`.

    Raises:
        ValueError: if the backend is not TensorFlow, there is something at
            `path`, or a layer keeps more than variables.
        TypeError: if `model` is no Keras model.
        OSError: if the file cannot be written.
    """
    target.check_model(model, "packed", keeps_state=True)
    target.check_file(path, _SUFFIX)
    layout: list[Any] = []
    data: list[bytes] = []
    for number, (layer, _) in enumerate(layers_with_paths(model)):
        if hasattr(layer, "save_assets"):
            raise ValueError(
                f"Layer '{layer.name}' ({type(layer).__name__}) keeps files "
                "beside its variables, for which a packed file has no place. "
                "Write a SavedModel or a .keras file."
            )
        store: dict[str, Any] = {}
        layer.save_own_variables(store)
        for name, value in store.items():
            array = np.asarray(ops.convert_to_numpy(value))
            layout.append([number, name, array.dtype.name, array.shape])
            data.append(np.ascontiguousarray(array).tobytes())
    config = json.loads(model.to_json())
    config.pop("compile_config", None)
    header = json.dumps(
        {"architecture": config, "arrays": layout}, separators=(",", ":")
    )
    packed_header = zlib.compress(header.encode(), 9)
    content = packed_header + b"".join(data)
    with target.written_whole(path, f"model{_SUFFIX}") as scratch:
        with open(scratch, "wb") as file:
            file.write(_MAGIC + _number(len(packed_header)))
            file.write(_number(zlib.crc32(content)) + content)


def _number(value: int) -> bytes:
    return value.to_bytes(4, "little")


def load_packed(path: str | os.PathLike) -> keras.Model:
    """Load what `packed` has written, uncompiled.

    Args:
        path: The file; where its SHA-256 is beside it, that is checked.

    Raises:
        ValueError: if the file is damaged, or memory does not suffice.
        OSError: if it cannot be read.
    """
    digest.check(path)
    with open(path, "rb") as file:
        content = file.read()
    try:
        return _model_of(content)
    except Exception as error:  # Damage raises errors of any kind.
        reason = str(error).strip() or type(error).__name__
        raise ValueError(
            f"{os.fspath(path)!r} is no packed model, or damaged "
            f"({reason.splitlines()[0][:200]})"
        ) from error


def _model_of(content: bytes) -> keras.Model:
    start = len(_MAGIC) + 8
    if len(content) < start or not content.startswith(_MAGIC):
        raise ValueError("it begins with something else")
    length, checksum = (
        int.from_bytes(content[at : at + 4], "little")
        for at in (len(_MAGIC), len(_MAGIC) + 4)
    )
    if zlib.crc32(content[start:]) != checksum:
        raise ValueError("its checksum is that of other bytes")
    end = start + length
    header = _header(content[start:end])
    text = json.dumps(header["architecture"])
    arrays = _arrays(header["arrays"], content[end:])
    model = architecture.built(text)
    for number, (layer, _) in enumerate(layers_with_paths(model)):
        store = arrays.pop(number, {})
        written: dict[str, Any] = {}
        layer.save_own_variables(written)
        if store or written:
            layer.load_own_variables(store)
    if arrays:
        raise ValueError("it has weights of layers that there are not")
    return model


def _header(data: bytes) -> dict[str, Any]:
    """The header: a few bytes may claim to be any number, so not all count."""
    decoder = zlib.decompressobj()
    header = decoder.decompress(data, _LARGEST_HEADER)
    if not decoder.eof or decoder.unused_data:
        raise ValueError("its header is incomplete")
    return json.loads(header)


def _arrays(layout: Any, data: bytes) -> dict[int, dict[str, np.ndarray]]:
    """Arrays by the number of their layer and by name.

    They are as large as their bytes are, whatever the file claims.
    """
    found: dict[int, dict[str, np.ndarray]] = {}
    start = 0
    for number, name, dtype, shape in layout:
        kind = np.dtype(packing.DTYPES.get(dtype, dtype))
        if kind.hasobject or any(type(n) is not int or n < 0 for n in shape):
            raise ValueError(f"{name} of {dtype} and shape {shape} is damaged")
        end = start + math.prod(shape) * kind.itemsize
        if end > len(data) or name in found.setdefault(number, {}):
            raise ValueError(f"{name} is not there, or twice")
        array = np.frombuffer(data[start:end], kind).reshape(shape)
        found[number][name] = array
        start = end
    if start != len(data):
        raise ValueError("it is longer than its weights are")
    return found


class PackedFile(ExportFormat):
    """What layers save, one after another; for this package alone."""

    name, title, suffix = "packed", "packed", _SUFFIX

    def write(
        self, model: keras.Model, path: str, options: dict[str, Any]
    ) -> None:
        packed(model, path)

    def report(self, model: keras.Model, options: dict[str, Any]) -> Report:
        return Report(
            "the smallest file; it needs Keras and dsr_tf to be read",
            stores_zeros=False,
        )

    def load(self, flag: str, path: str) -> RunnableModel:
        with loading(flag, path):
            model = load_packed(path)
        return runnable_keras(flag, path, self.title, model)


FORMAT = PackedFile()
