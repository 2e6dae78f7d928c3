"""Files of flags, which command lines and other such files name."""

import difflib
import os
from collections.abc import Iterable
from collections.abc import Iterator

from dsr_tf.command_line.errors import UsageError

# Of one flagfile, and of those that a command line stands for.
_MAX_BYTES, _MAX_FILES = 2**20, 100

# The folder of the files that come with the package, and their names' start.
_FOLDER = "flags"


def expand(arguments: Iterable[str]) -> list[str]:
    """Replace each `--flagfile=FILE` by the flags that the file holds.

    Unlike absl's own, it looks for a file named in a file beside it, and
    puts what files say before what the command line (or the including file)
    says, wherever `--flagfile` stands, so that the latter always wins.
    `flags/NAME` is the package's own file of that name where there is no
    such file.

    Raises:
        UsageError: if a file cannot be read, is no list of flags,
            includes itself, or a hundred files are not all.
    """
    return _Expansion().expand(arguments, ".")


def named(arguments: Iterable[str]) -> tuple[list[str], list[str]]:
    """What a command line is made of.

    Returns:
        Where the flagfiles are that it names, and its other arguments.
    """
    found: list[str] = []
    others: list[str] = []
    for argument, path in _parts(arguments):
        if path is None:
            others.append(argument)
        else:
            found.append(_find(".", path))
    return found, others


def package_files() -> str:
    """The folder of the flagfiles that come with the package.

    A wheel has them inside of the package, a clone beside it.
    """
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    inside = os.path.join(package, _FOLDER)
    if os.path.isdir(inside):
        return inside
    return os.path.join(os.path.dirname(package), _FOLDER)


def _find(folder: str, name: str) -> str:
    """Where the file is that is named in `folder`."""
    path = name if folder == "." else os.path.join(folder, name)
    if os.path.lexists(path):
        return path
    # Named as if from a clone's root, or beside a file that is.
    for wanted in (name, path):
        own = _in_package(wanted)
        if os.path.isfile(own):
            return own
    return path


def _in_package(path: str) -> str:
    """Where the package has what a clone has at a path; "" for nowhere."""
    start, *rest = os.path.normpath(path).split(os.sep)
    return os.path.join(package_files(), *rest) if start == _FOLDER else ""


class _Expansion:
    def __init__(self) -> None:
        self._open: list[str] = []
        self._num_read = 0

    def expand(self, arguments: Iterable[str], folder: str) -> list[str]:
        from_files: list[str] = []
        own: list[str] = []
        for argument, path in _parts(arguments):
            _check_text(argument)
            if path is None:
                own.append(argument)
            else:
                from_files += self._read(_find(folder, path))
        return from_files + own

    def _read(self, path: str) -> list[str]:
        real = os.path.realpath(path)
        if real in self._open:
            raise UsageError(
                f"flag --flagfile={path}: the file includes itself"
            )
        self._num_read += 1
        if self._num_read > _MAX_FILES:
            raise UsageError(
                f"flag --flagfile={path}: flagfiles may include each other "
                f"{_MAX_FILES} times in all, and these do more often"
            )
        lines = _lines(path)
        self._open.append(real)
        expanded = self.expand(lines, os.path.dirname(path))
        self._open.pop()
        return expanded


def _parts(arguments: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    """Each argument, and the path that follows if it is `--flagfile`."""
    rest = iter(arguments)
    for argument in rest:
        name, equals, path = argument.partition("=")
        if name.lstrip("-") != "flagfile":
            yield argument, None
        else:
            yield argument, path if equals else next(rest, "")


def _check_text(argument: str) -> None:
    """Refuse what no path and no message can hold."""
    name = argument.partition("=")[0]
    if "\0" in argument:
        raise UsageError(f"flag {name}: must not hold a zero byte")
    try:
        argument.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError(
            f"flag {name}: must be UTF-8 text, not {argument!r}"
        ) from None


def _question(path: str) -> str:
    """Whether a file of a like name was meant, for one that is not there."""
    folder, name = os.path.split(path)
    if os.path.lexists(path):
        return ""
    names = {
        found
        for place in (folder or ".", _in_package(folder))
        for found in _listed(place)
        if found.endswith(".flags")
    }
    nearest = difflib.get_close_matches(name, sorted(names), n=1)
    if not nearest:
        return ""
    return f"; did you mean {os.path.join(folder, nearest[0])}?"


def _listed(folder: str) -> list[str]:
    """The files of a folder, as far as it can be read."""
    try:
        return os.listdir(folder) if folder else []
    except OSError:
        return []


def _lines(path: str) -> list[str]:
    """The flags in a file, one a line."""
    try:
        with open(path, "rb") as file:
            content = file.read(_MAX_BYTES + 1)
        text = content.decode("utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UsageError(
            f"flag --flagfile={path}: cannot be read ({reason})"
            f"{_question(path)}"
        ) from None
    if len(content) > _MAX_BYTES:
        raise UsageError(
            f"flag --flagfile={path}: must be of at most {_MAX_BYTES} bytes"
        )
    lines = [line.strip() for line in text.split("\n")]
    lines = [line for line in lines if line and not line.startswith("#")]
    for line in lines:
        if not line.startswith("--"):
            raise UsageError(
                f"flag --flagfile={path}: each line must be a flag "
                f"--NAME=VALUE or a comment after #, not {line[:80]!r}"
            )
    return lines
