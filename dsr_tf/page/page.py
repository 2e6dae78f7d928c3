"""A page of one run, or of several."""

from collections.abc import Callable
from collections.abc import Sequence

from dsr_tf.core.version import VERSION
from dsr_tf.page.markup import Markup
from dsr_tf.page.markup import element
from dsr_tf.page.markup import join
from dsr_tf.page.run import Run
from dsr_tf.page.sections import cost
from dsr_tf.page.sections import curves
from dsr_tf.page.sections import density
from dsr_tf.page.sections import flow
from dsr_tf.page.sections import headline
from dsr_tf.page.sections import lifetimes
from dsr_tf.page.sections import masks
from dsr_tf.page.sections import moved
from dsr_tf.page.sections import several
from dsr_tf.page.style import CSS

# In the order of the page.
_SECTIONS: tuple[Callable[[Run], Markup], ...] = (
    headline.of,
    curves.of,
    density.of,
    flow.of,
    moved.of,
    lifetimes.of,
    masks.of,
    cost.of,
    headline.settings,
)


def page(runs: Sequence[Run]) -> str:
    """A whole HTML document, which needs no other file and no script.

    Args:
        runs: List of `Run`, at least one.
    """
    if len(runs) == 1:
        [run] = runs
        title, content = (
            run.title,
            [
                element("p", f"{run.folder}, dsr_tf {VERSION}", class_="from"),
                _sections(run),
            ],
        )
    else:
        title = f"{len(runs)} runs of dsr_tf"
        content = [several.of(runs), *_each(runs)]
    main = element("main", element("h1", title), *content)
    body = element("body", main)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element(
            "meta",
            name="viewport",
            content="width=device-width, initial-scale=1",
        ),
        # Nothing is fetched, and nothing runs, whatever a name holds.
        element(
            "meta",
            http_equiv="Content-Security-Policy",
            content="default-src 'none'; style-src 'unsafe-inline'; "
            "img-src data:",
        ),
        element("title", title),
        element("style", Markup(CSS)),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _sections(run: Run) -> Markup:
    return join(section(run) for section in _SECTIONS)


def _each(runs: Sequence[Run]) -> list[Markup]:
    """All that there is of each run, folded."""
    return [
        element(
            "details",
            element("summary", f"{name}: {run.title}"),
            # Who follows a link to what is inside finds it unfolded.
            element("p", run.folder, class_="from", id=f"run{number}"),
            _sections(run),
            class_="run",
        )
        for number, (name, run) in enumerate(zip(several.names(runs), runs), 1)
    ]
