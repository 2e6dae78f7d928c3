"""What the commands print: any text as it is, on any terminal."""

import codecs
import sys
from typing import Any

from rich.console import Console

# Characters of our own tables, for terminals that have ASCII only.
_IN_ASCII = {"±": "+-", "–": "-", "…": "...", "×": "x"}


def console(**arguments: Any) -> Console:
    """A `rich` console that takes brackets in names for brackets.

    What the terminal's encoding has no characters for is printed in ASCII.
    """
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="dsr_tf.ascii")
    return Console(markup=False, emoji=False, **arguments)


def changes_in_place(console: Console) -> bool:
    """Whether what a console has printed can be replaced: not in a log."""
    return (
        sys.stdout.isatty()
        and console.is_terminal
        and not console.is_dumb_terminal
    )


def in_ascii(text: str) -> str:
    """The same text, in ASCII as far as there are words for it."""
    return "".join(_IN_ASCII.get(letter, letter) for letter in text)


def _replace(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end]
    replaced = "".join(
        _IN_ASCII.get(letter)
        or letter.encode("ascii", "backslashreplace").decode()
        for letter in text
    )
    return replaced, error.end


codecs.register_error("dsr_tf.ascii", _replace)
