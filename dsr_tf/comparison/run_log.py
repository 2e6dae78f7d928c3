"""What a run of a comparison has printed, into a file of its own.

One that failed or was stopped, and runs again, goes on with the same file.
"""

import os
import re
from typing import BinaryIO

from dsr_tf.comparison.plan import PlannedRun

# How absl begins a line where Python's logging writes it.
_WARNING = re.compile(r"WARNING:absl:(.*)")
_AGAIN = "=== The run goes on, or begins again. ==="


def path(folder: str, run: PlannedRun) -> str:
    """The file of a run.

    Args:
        folder: Folder of these files.
        run: The `PlannedRun`.
    """
    return os.path.join(folder, f"{os.path.basename(run.folder)}.txt")


def opened(folder: str, run: PlannedRun) -> BinaryIO:
    """The file of a run that begins, to be written.

    Args:
        folder, run: As of `path`.
    """
    file = open(path(folder, run), "ab")
    if file.tell():
        file.write(f"\n{_AGAIN}\n".encode())
        file.flush()
    return file


def warnings(folder: str, run: PlannedRun) -> list[str]:
    """Sentences that it warned with since it last began, each once.

    Args:
        folder, run: As of `path`.
    """
    try:
        with open(
            path(folder, run), encoding="utf-8", errors="replace"
        ) as file:
            lines = file.read().rpartition(_AGAIN)[2].splitlines()
    except OSError:  # It has not been run here.
        return []
    found = map(_WARNING.match, lines)
    return list(dict.fromkeys(match[1] for match in found if match))
