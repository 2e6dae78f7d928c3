"""Every block of code in the documents is run, or says why it is not."""

import re

import pytest

from tests.repository.documents import DOCUMENTS
from tests.repository.documents import ROOT
from tests.repository.documents import blocks_of

# What CI itself runs, see `test_ci_runs_what_documents_say`.
RUN_BY_CI = {("README.md", "test command"), ("CONTRIBUTING.md", "checks")}
TESTS = "".join(path.read_text() for path in ROOT.glob("tests/**/*.py"))


def why_not(document, block):
    """What is wrong with a block, None if nothing is."""
    if block.language == "" or (document, block.comment) in RUN_BY_CI:
        return None
    kind, _, text = block.comment.partition(": ")
    if kind == "example":
        # `example` or `run_example`, perhaps over several lines.
        call = rf'example\(\s*"{re.escape(document)}",\s*"{re.escape(text)}"'
        return None if re.search(call, TESTS) else "no test runs it"
    if kind == "not run":
        return None if len(text.split()) > 1 else "there is no reason"
    return "nothing says whether it is run"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_each_block_is_run_or_says_why_not(path):
    document = path.relative_to(ROOT).as_posix()
    wrong = [
        (reason, block.code[:60])
        for block in blocks_of(path)
        if (reason := why_not(document, block))
    ]
    assert not wrong
    # None is overlooked.
    assert path.read_text().count("```") == 2 * len(blocks_of(path))


@pytest.mark.parametrize(
    "comment, language, reason",
    [
        ("", "", None),
        ("", "sh", "nothing says whether it is run"),
        ("not run: two hours", "sh", None),
        ("not run: ", "sh", "there is no reason"),
        ("example: loop", "python", None),
        ("example: " + "nothing", "python", "no test runs it"),
    ],
)
def test_it_sees_what_is_wrong(comment, language, reason, tmp_path):
    path = tmp_path / "a.md"
    above = f"<!-- {comment} -->\n" if comment else ""
    path.write_text(f"Text.\n\n{above}```{language}\ncode\n```\n")
    [block] = blocks_of(path)
    assert why_not("docs/loops.md", block) == reason
