"""Folders that exports are written in, before they move to their place."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def folder(parent: str, path: str) -> Iterator[str]:
    """A folder in `parent` that is gone at the end.

    It is locked as long as its process lives. Folders of processes that
    died while they wrote the same `path` are removed first, folders that are
    in use are not.
    """
    name = os.path.basename(path)
    place = hashlib.sha256(os.fsencode(name)).hexdigest()[:12]
    prefix = f".export-{place}-"
    for left in os.listdir(parent):
        if left.startswith(prefix):
            _remove_if_left(os.path.join(parent, left))
    made, lock = _locked(parent, prefix)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(lock)


def _locked(parent: str, prefix: str) -> tuple[str, int]:
    """A new folder and what holds its lock."""
    while True:
        made = tempfile.mkdtemp(prefix=prefix, dir=parent)
        lock = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Another process believes that it was left behind.
            os.close(lock)
            continue
        except OSError:
            # A file system without locks: then no process can lock this
            # folder to remove it, either.
            return made, lock
        if os.path.isdir(made):
            return made, lock
        os.close(lock)


def _remove_if_left(path: str) -> None:
    with contextlib.suppress(OSError):
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        lock = os.open(path, flags)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(lock)
