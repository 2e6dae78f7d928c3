"""Tables, whose numbers may have bars."""

from collections.abc import Sequence

from dsr_tf.page.markup import Markup
from dsr_tf.page.markup import element


def table(
    header: Sequence[str], rows: Sequence[Sequence[object]], caption: str = ""
) -> Markup:
    """A table whose first column says what a row is.

    It scrolls by itself where it is wider than the page.

    Args:
        header: Names of its columns.
        rows: Their cells, text or `Markup`.
        caption: What stands above it.
    """
    head = [
        element("th", name, scope="col", class_=None if i == 0 else "n")
        for i, name in enumerate(header)
    ]
    body = [
        element(
            "tr",
            element("th", row[0], scope="row"),
            *[element("td", cell) for cell in row[1:]],
        )
        for row in rows
    ]
    return element(
        "div",
        element(
            "table",
            element("caption", caption) if caption else "",
            element("thead", element("tr", *head)),
            element("tbody", *body),
        ),
        class_="scroll",
        tabindex="0",
    )


def bar(share: float, said: str) -> Markup:
    """A text with a bar behind it, as long as the share of the cell."""
    width = f"{100 * min(1.0, max(0.0, share)):.1f}%"
    return element("span", said, class_="bar", style=f"--share:{width}")
