"""The start of a command: its own lines first, not TensorFlow's notes.

TensorFlow's libraries write notes to standard error while they are loaded,
some of them before they heed TF_CPP_MIN_LOG_LEVEL. So until all is loaded
another process reads what comes there, and passes on what is no note. It is
a process, not a thread or a file, since it outlives this one: if loading
ends in a crash, what was said before is shown.
"""

import atexit
import ctypes
import os
import re
import signal
import sys
from collections.abc import Iterator

_STANDARD_ERROR = 2
# As TensorFlow counts: 0 shows all, 1 hides I, 2 W too, 3 E too.
_VARIABLE, _SEVERITIES = "TF_CPP_MIN_LOG_LEVEL", b"IWE"
# How a line of the C++ code begins: severity and day, and where it is from.
_NOTE = re.compile(rb"([IWEF])\d{4} [\d:.]+ +\d+ [\w./]+:\d+\] (.*)", re.S)
# What belongs to such lines, or calls itself an error and is none: there is
# no driver of a GPU (CUDA's error 303, its library is not there), or a
# library has been loaded twice, as in TensorFlow's own packages.
_HEADING = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog"
    rb"|To enable the following instructions:"
)
_NO_ERROR = re.compile(
    rb"failed call to cuInit: .*\(303\)"
    rb"|Unable to register cu\w+ factory: .* has already been registered"
)

_reader: int | None = None
_kept: int | None = None


def hold_back() -> None:
    """From now on notes are held back, at the level that the user has set.

    The level of a user who has set none is 2, here and in processes that
    this one starts; with level 0 nothing is held back.
    """
    global _reader, _kept
    level = os.environ.setdefault(_VARIABLE, "2")
    hidden = _SEVERITIES[: int(level)] if level.isdecimal() else b""
    if not hidden or _reader is not None or "tensorflow" in sys.modules:
        return
    if not hasattr(os, "fork"):  # Notes come, as without this.
        return
    try:
        _kept = os.dup(_STANDARD_ERROR)
    except OSError:  # There is no standard error.
        return
    output, written = os.pipe()
    _reader = os.fork()
    if not _reader:
        os.close(written)
        _pass_on(output, hidden)
    os.close(output)
    os.dup2(written, _STANDARD_ERROR)
    os.close(written)
    # Where loading fails, what Python says of it comes to its end.
    atexit.register(let_through)


def let_through() -> None:
    """From now on standard error is as it was; what came is shown."""
    global _reader, _kept
    if _reader is None or _kept is None:
        return
    _look_for_devices()
    sys.stderr.flush()
    os.dup2(_kept, _STANDARD_ERROR)
    os.close(_kept)
    os.waitpid(_reader, 0)
    _reader = _kept = None


def _look_for_devices() -> None:
    """Have TensorFlow say now that there is no GPU, where there is none.

    With a driver it is not asked: it takes its time, and what it has to
    say of a GPU is for the user.
    """
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        if "tensorflow" in sys.modules:
            sys.modules["tensorflow"].config.list_physical_devices()


def _pass_on(output: int, hidden: bytes) -> None:
    """Be the other process: show lines that are no notes, to the end."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for line in _lines(output):
            if not is_note(line, hidden):
                os.write(_STANDARD_ERROR, line)
    finally:
        os._exit(0)


def _lines(output: int) -> Iterator[bytes]:
    with os.fdopen(output, "rb") as file:
        yield from file


def is_note(line: bytes, hidden: bytes) -> bool:
    """Whether a line is one that is held back.

    Args:
        line: The line.
        hidden: Severities of C++ lines that are, such as `b"IW"`.
    """
    found = _NOTE.match(line)
    if found is None:
        return bool(_HEADING.match(line))
    severity, text = found.groups()
    return severity in hidden or bool(_NO_ERROR.search(text))
