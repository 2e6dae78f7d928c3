"""What all parts of a page look like."""

from dsr_tf.page.markup import Markup
from dsr_tf.page.markup import element


def section(title: str, intro: str, *content: object) -> Markup:
    """A part of a page: its title, what it is about, and its pictures."""
    return element(
        "section",
        element("h2", title),
        element("p", intro, class_="intro") if intro else "",
        *content,
    )


def grid(*figures: object) -> Markup:
    """Figures beside each other, where there is room."""
    return element("div", *figures, class_="grid")
