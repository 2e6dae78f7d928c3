"""What a run of a comparison has printed, into a file of its own."""

import os
import re

from dsr_tf.comparison.plan import PlannedRun

# How absl begins a line where Python's logging writes it.
_WARNING = re.compile(r"WARNING:absl:(.*)")


def path(folder: str, run: PlannedRun) -> str:
    """The file of a run.

    Args:
        folder: Folder of these files.
        run: The `PlannedRun`.
    """
    return os.path.join(folder, f"{os.path.basename(run.folder)}.txt")


def warnings(folder: str, run: PlannedRun) -> list[str]:
    """Sentences that the run warned with, each once; none without a file.

    Args:
        folder, run: As of `path`.
    """
    try:
        with open(
            path(folder, run), encoding="utf-8", errors="replace"
        ) as file:
            found = [_WARNING.match(line) for line in file]
    except OSError:
        return []
    return list(dict.fromkeys(match[1] for match in found if match))
