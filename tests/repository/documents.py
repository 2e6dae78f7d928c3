"""The documents of the repository, and the blocks of code in them."""

import pathlib
import re
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

# What a comment above a block says, its language, and the block.
_BLOCK = re.compile(
    r"(?:^<!-- ([^\n]*) -->\n)?^```(\w*)\n(.*?)^```$", re.M | re.S
)


class Block(NamedTuple):
    """A block of a document.

    Attributes:
        comment: What stands in the comment above it, `""` if there is none.
        language: Of the code, `""` for what is no code.
        code: The text.
    """

    comment: str
    language: str
    code: str


def blocks_of(path):
    """All blocks of a document."""
    found = _BLOCK.findall(path.read_text())
    return [Block(*each) for each in found]


def example(document, name):
    """The code of a block by the name in the comment above it.

    Args:
        document: Path from the top of the repository.
        name: What follows `example: `.
    """
    [code] = [
        block.code
        for block in blocks_of(ROOT / document)
        if block.comment == f"example: {name}"
    ]
    return code


def run_example(document, name, change=(), **names):
    """Run a block of Python.

    Args:
        document: Path from the top of the repository.
        name: That of the block.
        change: Pairs of a text in the code and what to run in its place: a
            smaller number, say.
        **names: What the code finds.

    Returns:
        Dict of the names that it found or has made.
    """
    code = example(document, name)
    for before, after in change:
        assert before in code, before
        code = code.replace(before, after)
    names = {"__name__": "example", **names}
    exec(compile(code, f"{document}: {name}", "exec"), names)
    return names
