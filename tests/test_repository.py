"""What the repository promises: flagfiles, the README, the build files."""

import ast
import pathlib
import re

import pytest
from absl import flags

import dsr_tf
from dsr_tf import command_line
from dsr_tf.training import experiment as experiments
from tests.conftest import make_model

ROOT = pathlib.Path(__file__).parents[1]
FLAGFILES = sorted(ROOT.glob("flags/**/*.flags"))


@pytest.mark.parametrize("path", FLAGFILES, ids=lambda p: p.stem)
def test_flagfiles_are_valid(path):
    flag_values = flags.FlagValues()
    experiments.define_flags(flag_values)
    command_line.parse(
        flag_values, ["t", f"--flagfile={path}", "--output_dir=x"], ""
    )
    if "{" in (flag_values["initial_checkpoint"].value or ""):
        flag_values["initial_checkpoint"].value = "run"
    experiment = experiments.from_flags(flag_values)
    assert experiment.method == path.stem or path.stem in (
        "base",
        "quickstart",
    )


def test_lenet_mnist_is_table_4():
    flag_values = flags.FlagValues()
    experiments.define_flags(flag_values)
    path = ROOT / "flags" / "lenet_mnist" / "dsr.flags"
    command_line.parse(
        flag_values, ["t", f"--flagfile={path}", "--output_dir=x"], ""
    )
    e = experiments.from_flags(flag_values)
    assert (e.epochs, e.batch_size, e.momentum, e.nesterov) == (
        100,
        100,
        0.9,
        True,
    )
    assert (e.l1, e.l2) == (1e-4, 0)
    assert (e.num_reallocated, e.tolerance, e.initial_threshold) == (
        600,
        0.1,
        1e-3,
    )
    assert e.period.values == {0: 100, 25: 200, 50: 400, 75: 800}
    assert e.learning_rate.values == {0: 0.1, 25: 0.02, 50: 4e-3, 75: 8e-4}


def test_flags_that_the_readme_names_exist():
    flag_values = flags.FlagValues()
    experiments.define_flags(flag_values)
    known = {*flag_values, "flagfile", "rounds", "help"}
    known |= {"flagfiles", "seeds", "densities", "parallel_runs"}
    readme = (ROOT / "README.md").read_text()
    named = set(re.findall(r"python -m dsr_tf[^\n`]*", readme))
    assert named
    for line in named:
        for name in re.findall(r"--(?:no)?(\w+)", line):
            assert name in known or f"no{name}" in known, line


def test_the_method_of_the_readme_works(data):
    readme = (ROOT / "README.md").read_text()
    code = readme.split("<!-- example: method -->\n```python\n")[1]
    names = {"__name__": "example"}
    exec(code.split("```")[0], names)
    records = []
    callback = dsr_tf.callbacks.Reallocation(
        names["Drift"](0.1), period=5, seed=0, listener=records.append
    )
    model = make_model()
    model.fit(*data, batch_size=8, epochs=2, verbose=0, callbacks=[callback])
    assert len(records) == 7
    assert {r.num_active for r in records} == {90}
    assert sum(r.num_grown for r in records) > 0


def test_files_stay_short():
    for path in ROOT.glob("dsr_tf/**/*.py"):
        assert len(path.read_text().splitlines()) <= 350, path


def test_imports_run_one_way():
    """Command line -> training -> callbacks -> reallocation -> layers."""
    order = [
        "granularity",
        "layers",
        "reallocation",
        "pruning",
        "callbacks",
        "training",
        "comparison",
    ]
    for path in ROOT.glob("dsr_tf/*/*.py"):
        package = path.parent.name
        if package not in order:
            continue
        above = order[order.index(package) + 1 :]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                parts = node.module.split(".") + [a.name for a in node.names]
                assert not set(parts[1:2]) & set(above), (path, node.module)
