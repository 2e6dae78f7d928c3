"""A flag of a run, as a field of a dataclass."""

import dataclasses
from typing import Any


def flag(default: Any, help: str, kind: Any = None) -> Any:
    """A field that is a flag.

    Args:
        default: Its value if nothing is given.
        help: What `--help` says.
        kind: What it accepts, where its annotation does not say that: a
            tuple of words, or one of `dsr_tf.command_line.flag_kinds`.
    """
    return dataclasses.field(
        default=default, metadata={"help": help, "kind": kind}
    )
