"""What `dsr_tf.benchmark` prints, in a file: `--output=FILE.json`."""

import json
import os
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from dsr_tf.command_line import UsageError
from dsr_tf.command_line import output_paths
from dsr_tf.training import environment
from dsr_tf.training import files

FLAG = (
    "output",
    None,
    "File for what is printed, as JSON, with settings, versions and device; "
    "one that is not there yet.",
)
# Where things lie on this machine.
_PATHS = ("output", "output_dir", "data_dir")


def check(path: str | None) -> None:
    """Refuse an --output that is taken, or where no file can be written.

    Raises:
        UsageError: if it is such a path.
    """
    if path is None:
        return
    if os.path.lexists(path):
        raise UsageError(
            f"flag --output={path}: must be a new file, and there is one"
        )
    output_paths.check_file("output", path)


def cells(
    row: Mapping[str, Any], columns: Mapping[str, tuple[str, str]]
) -> list[str]:
    """The figures of a network as they are printed.

    Args:
        row: Figures by name; None where there is none.
        columns: Heading and format of each, by name.
    """
    return [
        "" if row[name] is None else format(row[name], style)
        for name, (_, style) in columns.items()
    ]


def write(
    path: str | None,
    settings: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    hidden: Collection[str] = (),
) -> None:
    """Write the file, if one is asked for.

    Args:
        path: The file; None for none.
        settings: Values of the flags, by name.
        rows: Figures of each network.
        hidden: Names of flags that do nothing.
    """
    if path is None:
        return
    content = {
        **environment.describe(),
        "settings": {
            name: value
            for name, value in settings.items()
            if name not in (*_PATHS, *hidden)
        },
        "networks": rows,
    }
    # Values of flags that JSON lacks, as they are written in flags.
    text = json.dumps(content, indent=1, default=str) + "\n"
    with files.written_whole(path) as file:
        file.write(text.encode())
