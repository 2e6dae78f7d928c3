"""What the README and docs/ tell a reader to do, works."""

import re
import subprocess

import pytest
from absl import flags

import dsr_tf
from dsr_tf.export import registry
from dsr_tf.training import experiment as experiments
from tests.repository.documents import DOCUMENTS
from tests.repository.documents import ROOT

COMMAND = r"(?:python -m dsr_tf\.|\bdsr-)([a-z]\w*)([^\n`]*)"


def commands_in(text):
    """The commands of this package in a text, with their arguments."""
    # Lines that end in a backslash go on, and so do those of a paragraph
    # inside of backticks.
    text = text.replace("\\\n", " ")
    text = re.sub(
        r"`[^`\n]+\n[^`\n]+`", lambda m: m[0].replace("\n", " "), text
    )
    return re.findall(COMMAND, text)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.stem)
def test_flags_in_commands_exist(path):
    flag_values = flags.FlagValues()
    experiments.define_flags(flag_values)
    known = {*flag_values, "flagfile", "help"}
    for command, line in commands_in(path.read_text()):
        # A command may be more than one file.
        sources = ROOT.glob(f"dsr_tf/commands/{command}*.py")
        text = "".join(source.read_text() for source in sources)
        own = set(re.findall(r'"(\w+)"', text))
        if command == "export":
            own |= set(registry.options())
        for name in re.findall(r"--(?:no)?(\w+)", line):
            assert {name, f"no{name}"} & (known | own), (command, line)


def test_documents_name_each_command():
    named = {
        command
        for path in DOCUMENTS
        for command, _ in commands_in(path.read_text())
    }
    assert named == {
        path.stem
        for path in ROOT.glob("dsr_tf/commands/*.py")
        if "def main(" in path.read_text()
    }


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.stem)
def test_files_that_documents_name_exist(path):
    text = path.read_text()
    # What links lead to, beside it, and what commands take.
    for name in re.findall(r"\]\(([^)#\s=]+)\)", text):
        if "://" not in name:
            assert (path.parent / name).exists(), name
    for name in re.findall(r"\b(?:tests|flags|docs|dsr_tf)/[\w./]*\w", text):
        # `flags/{dense,static}.flags` and `flags/NAME` stand for several.
        several = name + "{" in text or "NAME" in name
        assert several or (ROOT / name).exists(), name


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.stem)
def test_examples_are_python(path):
    for code in re.findall(r"```python\n(.*?)```", path.read_text(), re.S):
        compile(code, path, "exec")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.stem)
def test_examples_find_what_they_name(path):
    """Without an import that something else has made."""
    for code in re.findall(r"```python\n(.*?)```", path.read_text(), re.S):
        imported = re.findall(r"^import dsr_tf\.(\w+)", code, re.M)
        named = re.findall(r"(?<!import )\bdsr_tf\.(\w+)", code)
        assert set(named) <= {*dsr_tf.__all__, *imported}


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 250


@pytest.mark.parametrize(
    "document, name, line",
    [
        # The wheel, not the checkout.
        ("README.md", "test command", "pip install '.[test]'"),
        ("CONTRIBUTING.md", "checks", "ruff format --check ."),
    ],
)
def test_ci_runs_what_documents_say(document, name, line):
    ci = (ROOT / ".ci" / "run").read_text()
    assert f'$(block {document} "{name}")' in ci
    text = (ROOT / document).read_text()
    [block] = re.findall(f"<!-- {name} -->\n```sh\n(.*?)```\n", text, re.S)
    assert line in block.splitlines()
    # What CI's own words for finding it give.
    function = ci[ci.index("block() {") : ci.index("clone=")]
    found = subprocess.run(
        ["bash", "-c", f'{function} block {document} "{name}"'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == block
