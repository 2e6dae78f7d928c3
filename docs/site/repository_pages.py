"""Pages of the site that stand elsewhere in the repository.

README.md is the first page, and what it and docs/ link to outside of docs/
are pages as well: notebooks, scripts, pictures. Links in files are those
that work on GitHub; here they are led to the pages.
"""

import os
import pathlib
import posixpath
import re

import notebook_pages
from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).parents[2]
# What links and pictures lead to in this repository, not on the web.
_TARGET = re.compile(r"\]\(([^()#:\s]+)(#[^()\s]*)?\)")


def place_of(path):
    """Where a file of the repository is among the pages, if it is.

    Args:
        path: Its path from the top of the repository, with `/`.
    """
    folder, name = posixpath.split(path)
    stem, kind = posixpath.splitext(name)
    if path == "README.md":
        return "index.md"
    if folder == "docs" or folder.startswith("docs/"):
        return posixpath.relpath(path, "docs")
    if kind in (".py", ".ipynb"):
        return f"{folder}/{stem}.md"
    if kind == ".md":
        return path.lower()
    if kind == ".png":
        return path
    return None


def elsewhere():
    """The files outside of docs/ that are in the site."""
    for pattern in (
        "*.md",
        "examples/*.py",
        "examples/experiments/*.py",
        "examples/*.ipynb",
        "results/**/*.png",
    ):
        yield from sorted(ROOT.glob(pattern))


def page_of(path):
    """A file as a page of Markdown, or the bytes of a picture."""
    if path.suffix == ".png":
        return path.read_bytes()
    text = path.read_text()
    if path.suffix == ".ipynb":
        return notebook_pages.page(text)
    if path.suffix == ".py":
        return f"# {path.name}\n\n```python\n{text}```\n"
    return text


def on_files(files, config):
    for path in elsewhere():
        place = place_of(path.relative_to(ROOT).as_posix())
        file = File.generated(config, place, content=page_of(path))
        # Where its links start from.
        file.repository_path = path.relative_to(ROOT).as_posix()
        files.append(file)
    return files


def on_page_markdown(markdown, page, config, files):
    """Lead the links of a file of the repository to pages."""
    default = posixpath.join("docs", page.file.src_uri)
    start = getattr(page.file, "repository_path", default)

    def lead(match):
        target, anchor = match[1], match[2] or ""
        path = posixpath.normpath(
            posixpath.join(posixpath.dirname(start), target)
        )
        place = place_of(path) if (ROOT / path).is_file() else None
        if place is None:
            return match[0]
        here = posixpath.dirname(page.file.src_uri) or "."
        return f"]({os.path.relpath(place, here)}{anchor})"

    return _TARGET.sub(lead, markdown)
