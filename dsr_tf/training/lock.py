"""One run at a time in a folder."""

import fcntl
import os

from dsr_tf.command_line import UsageError


class FolderLock:
    """Keeps other runs out of a folder while this one is at work.

    The system removes the lock when the process ends, in whatever way, so
    there is nothing to clean up after a killed run. The lock is on the folder
    itself, so nothing is written.

    Args:
        folder: Path of a folder that exists.

    Raises:
        UsageError: if another run holds the lock.
        OSError: if the folder cannot be locked.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # It may have been removed since it was opened.
            self.is_there = _is_at(folder, os.fstat(self._folder))
        except OSError as error:
            os.close(self._folder)
            if not isinstance(error, BlockingIOError):
                raise
            raise UsageError(
                f"flag --output_dir={folder}: another run is writing to it; "
                "wait for its end or give another folder"
            ) from error

    def release(self) -> None:
        """Let others in."""
        os.close(self._folder)


def _is_at(path: str | os.PathLike, stat: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), stat)
    except FileNotFoundError:
        return False
