"""Files of flags, which command lines and other such files name."""

import os

from dsr_tf.command_line.errors import UsageError

# Of one flagfile, and of those that a command line stands for.
_MAX_BYTES, _MAX_FILES = 2**20, 100


def expand(arguments):
    """Replace each `--flagfile=FILE` by the flags that the file holds.

    Unlike absl's own, it looks for a file named in a file beside it, and
    puts what files say before what the command line (or the including file)
    says, wherever `--flagfile` stands, so that the latter always wins.

    Raises:
        UsageError: if a file cannot be read, is no list of flags,
            includes itself, or a hundred files are not all.
    """
    return _Expansion().expand(arguments, ".")


class _Expansion:
    def __init__(self):
        self._open, self._num_read = [], 0

    def expand(self, arguments, folder):
        from_files, own = [], []
        arguments = list(arguments)
        while arguments:
            argument = arguments.pop(0)
            _check_text(argument)
            name, equals, path = argument.partition("=")
            if name.lstrip("-") != "flagfile":
                own.append(argument)
                continue
            if not equals:
                path = arguments.pop(0) if arguments else ""
            from_files += self._read(os.path.join(folder, path))
        return from_files + own

    def _read(self, path):
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


def _check_text(argument):
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


def _lines(path):
    """The flags in a file, one a line."""
    try:
        with open(path, "rb") as file:
            content = file.read(_MAX_BYTES + 1)
        text = content.decode("utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UsageError(
            f"flag --flagfile={path}: cannot be read ({reason})"
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
