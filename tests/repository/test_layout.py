"""Where things stand in the repository, and what they may import."""

import ast
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]

TOP_LEVEL = {
    # Folders.
    ".ci",
    "docs",
    "dsr_tf",
    "examples",
    "flags",
    "results",
    "tests",
    # For people.
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "README.md",
    # For tools.
    ".gitignore",
    ".pre-commit-config.yaml",
    "BUILD",
    "MODULE.bazel",
    "mkdocs.yml",
    "pyproject.toml",
    "requirements_lock.txt",
    "setup.cfg",
    "setup.py",
}

# Each package may import those below it.
ORDER = [
    "commands",
    "page",
    "comparison",
    "training",
    "recipes",
    "data",
    "models",
    "export",
    "callbacks",
    "growth",
    "structure",
    "conversion",
    "pruning",
    "reallocation",
    "methods",
    "layers",
    "constraints",
    "losses",
    "optimizers",
    "proximal",
    "regularizers",
    "command_line",
    "core",
]

# What `python -m dsr_tf.NAME` starts: a line that calls a command's main.
STARTS = {
    "benchmark.py",
    "compare.py",
    "evaluate.py",
    "report.py",
    "train.py",
    "export/__main__.py",
}


def imports_of(path):
    """Parts of the package that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "dsr_tf":
                yield rest.partition(".")[0]


def upward_imports():
    for path in ROOT.glob("dsr_tf/**/*.py"):
        name = path.relative_to(ROOT / "dsr_tf").as_posix()
        if name == "__init__.py" or name in STARTS:
            continue
        part = name.partition("/")[0].removesuffix(".py")
        below = ORDER[ORDER.index(part) :]
        for imported in imports_of(path):
            # Nor the public face, which imports nearly all.
            if imported not in below:
                yield name, imported


def test_every_part_has_a_place():
    parts = {path.name for path in ROOT.glob("dsr_tf/*/") if path.is_dir()}
    parts |= {path.name for path in ROOT.glob("dsr_tf/*.py")} - STARTS
    parts = {name.removesuffix(".py") for name in parts}
    parts -= {"__init__", "__pycache__"}
    assert parts <= set(ORDER)


def test_imports_run_one_way():
    assert not set(upward_imports())


@pytest.mark.parametrize("name", sorted(STARTS))
def test_what_starts_a_command_does_nothing_else(name):
    path = ROOT / "dsr_tf" / name
    assert set(imports_of(path)) == {"commands"}
    assert len(path.read_text().splitlines()) <= 8


@pytest.mark.skipif(
    not (ROOT / ".git").exists(), reason="files outside of git, as in Bazel"
)
def test_the_top_level_holds_what_is_listed():
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True
    )
    assert tracked.returncode == 0, tracked.stderr
    names = {line.partition("/")[0] for line in tracked.stdout.splitlines()}
    assert names == TOP_LEVEL


def test_files_stay_short():
    for path in ROOT.glob("dsr_tf/**/*.py"):
        assert len(path.read_text().splitlines()) <= 350, path
