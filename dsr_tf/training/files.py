"""Files that are written whole or not at all.

What is being written has another name until it is complete and on the disk.
A run that is killed leaves such names behind; the next one removes them.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from typing import BinaryIO

# A folder in that of a run, for what is not complete yet.
UNFINISHED = ".unfinished"
_ENDING = ".tmp"


@contextlib.contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """A binary file to write to, which becomes `path` at the end.

    Raises:
        OSError: if it cannot be written; what was at `path` stays then.
    """
    scratch = f"{path}{_ENDING}"
    try:
        with open(scratch, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(scratch)
        raise
    _sync(os.path.dirname(path) or ".")


def append(path: str | os.PathLike, data: bytes) -> None:
    """Add bytes to the end of a file, all of them or none."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        size = os.fstat(descriptor).st_size
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        except BaseException:
            os.truncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def unfinished(folder: str | os.PathLike) -> Iterator[str]:
    """A folder for what is being written, gone at the end."""
    path = os.path.join(folder, UNFINISHED)
    os.makedirs(path, exist_ok=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def publish(scratch: str | os.PathLike[str], path: str | os.PathLike) -> None:
    """Give a complete file or folder its name, in place of what has it."""
    for parent, _, names in os.walk(scratch):
        for name in names:
            _sync(os.path.join(parent, name))
        _sync(parent)
    if os.path.isdir(scratch):
        if os.path.lexists(path):
            # A folder does not take the place of one that is not empty.
            os.rename(path, f"{scratch}{_ENDING}")
        os.rename(scratch, path)
    else:
        _sync(scratch)
        os.replace(scratch, path)
    _sync(os.path.dirname(path))


def remove_unfinished(folder: str | os.PathLike) -> None:
    """Remove what a killed run has left half written in its folder."""
    shutil.rmtree(os.path.join(folder, UNFINISHED), ignore_errors=True)
    for parent in (folder, os.path.join(folder, "checkpoints")):
        for name in os.listdir(parent) if os.path.isdir(parent) else []:
            path = os.path.join(parent, name)
            if _is_of_a_run(name) and not os.path.isdir(path):
                os.remove(path)


def _is_of_a_run(name: str) -> bool:
    whole, ending = os.path.splitext(name)
    return ending == _ENDING and whole.endswith((".csv", ".json", ".npz"))


def _sync(path: str | os.PathLike) -> None:
    """Make a file, or the new names in a folder, last."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
