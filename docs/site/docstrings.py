"""Docstrings as Markdown: what a terminal shows as it is, and a page not."""

import re
from typing import Any

import griffe

# Lines of an interpreter, to the next blank line.
_SESSION = re.compile(r"^>>> .*(?:\n.+)*", re.M)
# A line of its own, as in Keras' docstrings.
_OUTPUT_SHAPE = re.compile(r"(?<!\n)\n(?=Output shape: )")


def as_markdown(text: str) -> str:
    """A docstring whose sessions are blocks of code."""
    text = _SESSION.sub(lambda found: f"```pycon\n{found[0]}\n```", text)
    return _OUTPUT_SHAPE.sub("\n\n", text)


class AsMarkdown(griffe.Extension):
    """Changes each docstring before it becomes a part of a page."""

    def on_object(self, *, obj: griffe.Object, **arguments: Any) -> None:
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)
