"""Where commands may write: looked at, and not touched."""

import os

from dsr_tf.command_line.errors import UsageError

# Of most file systems, where a folder does not tell.
_LONGEST_NAME = 255


def check_folder(flag: str, path: str, below: str = "") -> None:
    """Refuse a path where no folder can be made or written to.

    Args:
        flag: Name of the flag that names it, for messages.
        path: The folder, which need not exist, nor those that it is in.
        below: A folder in it that must be possible, too.

    Raises:
        UsageError: if something on the way is no folder, a name is too long
            or nothing may be written there.
    """
    found = os.path.abspath(os.path.join(path, below))
    while not _exists(flag, path, found):
        if len(os.fsencode(os.path.basename(found))) > _LONGEST_NAME:
            raise UsageError(
                f"flag --{flag}={path}: a name in it is longer than "
                f"{_LONGEST_NAME} bytes"
            )
        found = os.path.dirname(found)
    if not os.path.isdir(found):
        raise UsageError(
            f"flag --{flag}={path}: must be a folder, and {found} is not one"
        )
    if not os.access(found, os.W_OK | os.X_OK):
        raise UsageError(
            f"flag --{flag}={path}: nothing can be written to {found}"
        )


def check_file(flag: str, path: str) -> None:
    """Refuse a path where no file can be written.

    Raises:
        UsageError: if it is a folder, or its own cannot be written to.
    """
    if os.path.isdir(path):
        raise UsageError(f"flag --{flag}={path}: must be a file, not a folder")
    folder, name = os.path.split(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise UsageError(
            f"flag --{flag}={path}: must be in a folder that exists, and "
            f"{folder} is none"
        )
    if len(os.fsencode(name)) > _LONGEST_NAME:
        raise UsageError(
            f"flag --{flag}={path}: its name is longer than {_LONGEST_NAME} "
            "bytes"
        )
    check_folder(flag, folder)
    if os.path.exists(path) and not os.access(path, os.W_OK):
        raise UsageError(f"flag --{flag}={path}: cannot be written to")


def _exists(flag: str, path: str, found: str) -> bool:
    try:
        os.lstat(found)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UsageError(
            f"flag --{flag}={path}: must be a folder that can be made "
            f"({error.strerror})"
        ) from error
    return True
