"""Each notebook of examples/ runs, and its file has the outputs of a run."""

import base64
import re

import nbformat
import pytest

from tests.conftest import needs_tensorflow
from tests.examples import notebooks

PAGE = notebooks.FOLDER.parent / "docs" / "examples.md"
each_notebook = pytest.mark.parametrize(
    "path", notebooks.PATHS, ids=lambda path: path.stem
)
# The other one runs by hand.
each_in_turn = pytest.mark.parametrize(
    "path",
    [
        pytest.param(
            path,
            marks=[pytest.mark.slow] if path.stem == "small_file" else [],
        )
        for path in notebooks.PATHS
    ],
    ids=lambda path: path.stem,
)


def outputs_of(notebook):
    """What each cell has put out, without numbers, which differ between
    processors."""
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        for output in cell.outputs:
            kinds = sorted(output.get("data", {}))
            text = re.sub(r"[\d.,]+", "0", output.get("text", ""))
            yield output.output_type, output.get("name"), kinds, text.split()


@needs_tensorflow
@each_in_turn
def test_a_notebook_runs_and_shows_what_its_file_shows(path):
    """The same but for numbers, after fewer epochs."""
    stored = nbformat.read(path, as_version=4)
    assert list(outputs_of(notebooks.executed(path, epochs=2))) == list(
        outputs_of(stored)
    )


@each_notebook
def test_stored_outputs_are_small_and_of_no_machine(path):
    stored = nbformat.read(path, as_version=4)
    nbformat.validate(stored)
    assert path.stat().st_size < 150_000
    num_pictures = 0
    for cell in stored.cells:
        assert "execution" not in cell.metadata
        for output in cell.get("outputs", []):
            # No warning, no error, no colours of a terminal.
            assert output.output_type != "error"
            assert output.get("name") != "stderr"
            assert "\x1b" not in output.get("text", "")
            assert not re.search(r"(?<![\w.])/\w+/", output.get("text", ""))
            picture = output.get("data", {}).get("image/png")
            if picture:
                num_pictures += 1
                assert len(base64.b64decode(picture)) < 30_000
    assert num_pictures > 0


@each_notebook
def test_links_of_a_notebook_lead_to_files(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            for link in re.findall(r"\]\(([^)#]+)\)", cell.source):
                assert (path.parent / link).is_file(), link


def test_the_page_has_a_line_for_each():
    text = PAGE.read_text()
    for path in notebooks.PATHS:
        assert text.count(f"(../examples/{path.name})") == 1
