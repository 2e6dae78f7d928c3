"""Digests of exported models, in the format of `sha256sum`.

Files such as those of LiteRT and ONNX have no checksum, so one is written
beside them. TensorFlow itself checks the weights of a SavedModel (each loader
does when it restores them), but not its graph: a file inside has digests of
both. `dsr_tf.export.registry.load` checks digests, and so does
`sha256sum --check`.
"""

import hashlib
import os
import re
from typing import Any

# Where SavedModels have room for what their loaders do not read.
INSIDE = os.path.join("assets.extra", "sha256sums")
# A line; with a backslash before it, backslashes and line feeds of the name
# are escaped.
_LINE = re.compile(r"(\\?)([0-9a-f]{64}) [ *]([^\n]+)")
# Enough for the digests of more files than any model has.
_MAX_BYTES = 2**20
_TEXT: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape"}


def beside(path: str | os.PathLike) -> str:
    """Where the digest of a file is."""
    return f"{os.fspath(path)}.sha256"


def write(path: str | os.PathLike, name: str) -> None:
    """Write the digest of the file `path`, which will be called `name`."""
    with open(beside(path), "w", **_TEXT) as file:
        file.write(_line(name, _digest(path)))


def write_inside(folder: str | os.PathLike[str]) -> None:
    """Write the digests of all files in a folder, into it."""
    names = sorted(
        os.path.relpath(os.path.join(parent, name), folder)
        for parent, _, names in os.walk(folder)
        for name in names
    )
    path = os.path.join(folder, INSIDE)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", **_TEXT) as file:
        for name in names:
            file.write(_line(name, _digest(os.path.join(folder, name))))


def check(path: str | os.PathLike) -> None:
    """Check a file or folder against its digests, if it has any.

    Raises:
        ValueError: if they differ, or cannot be read.
        OSError: if a file cannot be read.
    """
    is_folder = os.path.isdir(path)
    digests = os.path.join(path, INSIDE) if is_folder else beside(path)
    if not os.path.lexists(digests):
        return
    folder = path if is_folder else os.path.dirname(path)
    needed = "saved_model.pb" if is_folder else os.path.basename(path)
    expected = _read(digests)
    if needed not in expected:
        raise ValueError(f"there is no digest of {needed} in {digests}")
    for name, digest in expected.items():
        if os.path.isabs(name) or ".." in name.split(os.sep):
            raise ValueError(f"{digests} names {name}, outside of it")
        file = os.path.join(folder, name)
        if (is_folder or name == needed) and _digest(file) != digest:
            raise ValueError(
                f"{name} is not what was written: its SHA-256 is not the one "
                f"in {digests}"
            )


def _read(path: str) -> dict[str, str]:
    """Digests by name from a file of them."""
    found = {}
    with open(path, newline="\n", **_TEXT) as file:
        for line in filter(None, file.read(_MAX_BYTES).split("\n")):
            match = _LINE.fullmatch(line)
            if not match:
                raise ValueError(f"{path} holds no digests")
            escaped, digest, name = match.groups()
            if escaped:
                name = re.sub(
                    r"\\([\\n])", lambda m: {"n": "\n"}.get(m[1], m[1]), name
                )
            found[name] = digest
    return found


def _line(name: str, digest: str) -> str:
    if "\\" in name or "\n" in name:
        name = name.replace("\\", "\\\\").replace("\n", "\\n")
        digest = f"\\{digest}"
    return f"{digest}  {name}\n"


def _digest(path: str | os.PathLike) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
