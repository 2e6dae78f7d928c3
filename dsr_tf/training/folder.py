"""The folder of a run: whether it may be written to, found out first."""

import contextlib
import os
import tempfile
from collections.abc import Iterator

from dsr_tf.command_line import UsageError
from dsr_tf.training import files
from dsr_tf.training.lock import FolderLock

# The longest name of what a run writes, within its folder.
_LONGEST = os.path.join(
    files.UNFINISHED,
    ".export-01234567",
    "variables",
    "variables.data-00000-of-00001.tempstate0123456789012345678901",
)


class RunFolder:
    """A folder that this process alone writes to.

    It is made where there is none, so that it can be locked at once; after
    a refusal it is gone again.

    Args:
        path: The folder.

    Raises:
        UsageError: if there can be no such folder, or another run is
            writing to it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._made: list[str] = []
        self._lock: FolderLock | None = None
        try:
            with usable(path):
                _check_length(path)
                while self._lock is None:
                    _make(path, self._made)
                    self._lock = FolderLock(path)
                    if not self._lock.is_there:
                        self.release()
        except BaseException:
            self.abandon()
            raise

    def check_writable(self) -> None:
        """Refuse a folder in which nothing could be written.

        Raises:
            OSError: if it is one.
        """
        checkpoints = os.path.join(self.path, "checkpoints")
        for folder in (self.path, checkpoints):
            if folder == self.path or os.path.lexists(folder):
                # It has no name, so there is nothing to see or to clean up.
                with tempfile.TemporaryFile(dir=folder):
                    pass

    def check_is_new(self) -> None:
        """Refuse a folder in which anything lies.

        Raises:
            UsageError: if something does.
            OSError: if that cannot be known.
        """
        if os.listdir(self.path):
            raise UsageError(
                f"flag --output_dir={self.path}: must be a new or an empty "
                "folder; give --resume to continue the run in it"
            )

    def check_nothing_is_lost(self) -> None:
        """Refuse to start anew over a run whose checkpoints are gone.

        A run that was killed before its first checkpoint has at most one
        row of metrics.

        Raises:
            UsageError: if there was such a run.
            OSError: if that cannot be known.
        """
        found = None
        if os.path.lexists(os.path.join(self.path, "summary.json")):
            found = "summary.json of a finished run"
        metrics = os.path.join(self.path, "metrics.csv")
        if os.path.isfile(metrics):
            with open(metrics, "rb") as file:
                num_rows = sum(line.endswith(b"\n") for line in file) - 1
            if num_rows > 1:
                found = found or f"metrics.csv of {num_rows} epochs"
        for name in ("saved_model", "model.keras"):
            if os.path.lexists(os.path.join(self.path, name)):
                found = found or f"{name} of a finished run"
        if found:
            raise UsageError(
                f"flag --resume: {self.path} holds {found}, but no "
                "checkpoint to go on from; give another --output_dir"
            )

    def begin(self) -> None:
        """Keep the folder, and clear what a killed run has left."""
        self._made = []
        files.remove_unfinished(self.path)

    def abandon(self) -> None:
        """Let others in, and leave no folder that was not there."""
        for folder in reversed(self._made):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        self._made = []
        self.release()

    def release(self) -> None:
        """Let others in."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def check(path: str, resume: bool) -> None:
    """Refuse a folder that a run could not begin in.

    Args:
        path: The folder.
        resume: Whether a run may be there that has no checkpoint yet.

    Raises:
        UsageError: if a run would be refused there.
    """
    folder = RunFolder(path)
    try:
        with usable(path):
            if resume:
                folder.check_nothing_is_lost()
            else:
                folder.check_is_new()
            folder.check_writable()
    finally:
        folder.abandon()


@contextlib.contextmanager
def usable(path: str) -> Iterator[None]:
    """Turn an error of the system inside into a refusal of the folder."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise UsageError(
            f"flag --output_dir={path}: cannot be used ({reason}); give a "
            "folder that this run may write to, or the name of a new one"
        ) from error


def _check_length(path: str) -> None:
    """Raise the system's error if names within the folder get too long."""
    try:
        os.lstat(os.path.join(path, _LONGEST))
    except (FileNotFoundError, NotADirectoryError):
        pass


def _make(path: str, made: list[str]) -> None:
    """Make a folder and those that it lies in; they are added to `made`."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path.rstrip("/"))
    if parent:
        _make(parent, made)
    try:
        os.mkdir(path)
    except FileExistsError:
        if not os.path.isdir(path):
            raise NotADirectoryError(0, f"{path} is not a folder") from None
    else:
        made.append(path)
