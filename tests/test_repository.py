"""What the repository promises: flagfiles, the README, the build files."""

import ast
import pathlib
import re

import pytest
from absl import flags

import dsr_tf
from dsr_tf import command_line
from dsr_tf.export import registry
from dsr_tf.training import experiment as experiments
from tests.conftest import assert_zero_outside_masks
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
    for name in ("initial_checkpoint", "copy_masks_from"):
        if "{" in (flag_values[name].value or ""):
            flag_values[name].value = "run"
    experiment = experiments.from_flags(flag_values)
    named = path.stem.startswith(experiment.method)
    if path.stem.startswith("masks_"):
        named = experiment.method == "static" and experiment.copy_masks_from
    assert named or path.stem in ("base", "long", "modern", "quickstart")


# Of Table 4: epochs, batch, learning rate, L1, L2, K, P.
TABLE_4 = {
    "lenet_mnist": (
        (100, 100),
        {0: 0.1, 25: 0.02, 50: 4e-3, 75: 8e-4},
        (1e-4, 0),
        600,
        {0: 100, 25: 200, 50: 400, 75: 800},
    ),
    "wrn28_2_cifar10": (
        (200, 100),
        {0: 0.1, 60: 0.02, 120: 4e-3, 160: 8e-4},
        (0, 5e-4),
        20_000,
        {0: 100, 25: 200, 80: 400, 140: 800},
    ),
    "resnet50_imagenet": (
        (100, 256),
        {0: 0.1, 30: 0.01, 60: 1e-3, 90: 1e-4},
        (0, 1e-4),
        200_000,
        {0: 1000, 25: 2000, 50: 4000, 75: 8000},
    ),
}


@pytest.mark.parametrize("name", TABLE_4)
def test_dsr_is_table_4(name):
    flag_values = flags.FlagValues()
    experiments.define_flags(flag_values)
    path = ROOT / "flags" / name / "dsr.flags"
    command_line.parse(
        flag_values, ["t", f"--flagfile={path}", "--output_dir=x"], ""
    )
    e = experiments.from_flags(flag_values)
    size, rates, penalties, num_reallocated, period = TABLE_4[name]
    assert (e.epochs, e.batch_size) == size
    assert (e.momentum, e.nesterov) == (0.9, True)
    assert (e.l1, e.l2) == penalties
    assert (e.num_reallocated, e.tolerance, e.initial_threshold) == (
        num_reallocated,
        0.1,
        1e-3,
    )
    assert e.period.values == period
    assert e.learning_rate.values == rates


def test_flags_that_the_readme_names_exist():
    flag_values = flags.FlagValues()
    experiments.define_flags(flag_values)
    known = {*flag_values, "flagfile", "help"}
    readme = (ROOT / "README.md").read_text()
    named = set(re.findall(r"python -m dsr_tf\.(\w+)([^\n`]*)", readme))
    assert named
    for command, line in named:
        source = ROOT / "dsr_tf" / "commands" / f"{command}.py"
        own = set(re.findall(r'"(\w+)"', source.read_text()))
        if command == "export":
            own |= set(registry.options())
        for name in re.findall(r"--(?:no)?(\w+)", line):
            assert {name, f"no{name}"} & (known | own), (command, line)


def run_example(name, **names):
    """Run a piece of code of the README; returns what it has defined."""
    readme = (ROOT / "README.md").read_text()
    code = readme.split(f"<!-- example: {name} -->\n```python\n")[1]
    names = {"__name__": "example", **names}
    exec(code.split("```")[0], names)
    return names


def test_the_loop_of_the_readme_works(data):
    import tensorflow as tf

    model = make_model()
    before = [w.mask.numpy() for w in dsr_tf.masked_weights(model)]
    batches = tf.data.Dataset.from_tensor_slices(data).batch(8)
    run_example("loop", model=model, batches=batches)
    weights = dsr_tf.masked_weights(model)
    assert sum(w.num_active for w in weights) == 90
    assert any((w.mask.numpy() != m).any() for w, m in zip(weights, before))
    assert_zero_outside_masks(model)


def test_the_method_of_the_readme_works(data):
    names = run_example("method")
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
