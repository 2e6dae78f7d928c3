"""HTML and SVG as text, in which names from files are names and no markup."""

import html
import unicodedata
from collections.abc import Iterable


class Markup(str):
    """Text that is HTML or SVG; any other text is escaped before it is."""


def text(value: object) -> Markup:
    """Any text as markup.

    Characters that no page may hold, or that turn the direction of what
    follows, become the character for what cannot be shown.
    """
    if isinstance(value, Markup):
        return value
    shown = "".join(
        "\ufffd" if unicodedata.category(letter)[0] == "C" else letter
        for letter in str(value)
    )
    return Markup(html.escape(shown))


def join(parts: Iterable[object]) -> Markup:
    return Markup("".join(map(text, parts)))


# Elements of HTML that have no content, and no end.
_EMPTY = ("img", "meta")


def element(name: str, /, *content: object, **attributes: object) -> Markup:
    """An element.

    Args:
        name: Its name.
        *content: What is in it, `Markup` or text.
        **attributes: Their names have `-` for `_`, and none at the end, as
            in `class_`. Those that are None are left out.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _EMPTY:
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{join(content)}</{name}>")


def short_name(path: str, longest: int = 40) -> str:
    """The path of a kernel without what nearly all end in; its end, if it
    is longer than that."""
    name = path.removesuffix("/kernel") or path
    return name if len(name) <= longest else f"…{name[1 - longest :]}"


def end_of(path: str, **attributes: object) -> Markup:
    """The path of a kernel, of which the end is seen where there is little
    room: neighbours begin alike."""
    inner = element("bdi", short_name(path), dir="ltr")
    return element("span", inner, dir="rtl", title=path, **attributes)
