"""What the README and docs/ tell a reader to do, works."""

import dataclasses
import pathlib
import re
import subprocess

import numpy as np
import pytest
from absl import flags

import dsr_tf
from dsr_tf.export import registry
from dsr_tf.training import experiment as experiments
from tests.conftest import assert_zero_outside_masks
from tests.conftest import make_model
from tests.conftest import values

ROOT = pathlib.Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
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


def run_example(document, name, **names):
    """Run a piece of code of a document; returns what it has defined."""
    text = (ROOT / document).read_text()
    code = text.split(f"<!-- example: {name} -->\n```python\n")[1]
    names = {"__name__": "example", **names}
    exec(code.split("```")[0], names)
    return names


def test_the_loop_of_ones_own_works(data):
    import tensorflow as tf

    model = make_model()
    before = [w.mask.numpy() for w in dsr_tf.masked_weights(model)]
    batches = tf.data.Dataset.from_tensor_slices(data).batch(8)
    run_example("docs/loops.md", "loop", model=model, batches=batches)
    weights = dsr_tf.masked_weights(model)
    assert sum(w.num_active for w in weights) == 90
    assert any((w.mask.numpy() != m).any() for w, m in zip(weights, before))
    assert_zero_outside_masks(model)


def test_the_method_of_ones_own_works(data):
    names = run_example("docs/methods.md", "method")
    records = []
    callback = dsr_tf.callbacks.Reallocation(
        names["Drift"](0.1), period=5, seed=0, listener=records.append
    )
    model = make_model()
    model.fit(*data, batch_size=8, epochs=2, verbose=0, callbacks=[callback])
    assert len(records) == 7
    assert {r.num_active for r in records} == {90}
    assert sum(r.num_grown for r in records) > 0


def test_pruning_below_thresholds_works():
    names = run_example("docs/methods.md", "thresholds")
    assert len(names["q"]) == 2
    images = np.random.default_rng(0).random((32, 28, 28), "float32")
    # Sooner than after 600 updates of 100 images.
    rule = names["rule"]
    rule = dataclasses.replace(rule, start=0, ramp=2, end=4, frequency=1)
    names["pruning"].rule = rule
    names["model"].fit(
        images, np.arange(32) % 10, 8, 2, 0, callbacks=[names["pruning"]]
    )
    # About a tenth is above q, and the last threshold is 1.2 q.
    for weight in dsr_tf.masked_weights(names["model"]):
        assert 0 < weight.num_active < weight.size / 2


def test_growth_from_a_seed_works():
    images = np.random.default_rng(0).random((32, 784), "float32")
    given = {"images": images, "labels": np.arange(32) % 10}
    names = run_example("docs/methods.md", "growth", **given)
    weights = dsr_tf.masked_weights(names["model"])
    # A tenth of 784 * 120, 120 * 40 and 40 * 10 connections.
    assert [w.num_active for w in weights] == [9408, 480, 40]
    nest = names["nest"]
    nest.hyperparameters = dataclasses.replace(
        nest.hyperparameters, frequency=2, grow_steps=1, target=2.0
    )
    names["model"].fit(*given.values(), 8, 2, 0, callbacks=[nest])
    # A twentieth of about 78400 + 4320 + 360 has come, and a unit of each.
    assert 9408 + 3000 < weights[0].num_active < 9408 + 5000
    assert [values(w.mask).any(0).sum() for w in weights[:2]] == [121, 41]


def test_the_penalties_work():
    import keras

    inputs = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(4, 3, name="conv1")(inputs)
    names = run_example(
        "docs/penalties.md", "penalties", model=keras.Model(inputs, x)
    )
    kernel = names["model"].get_layer("conv1").kernel
    weights = keras.ops.convert_to_numpy(kernel)
    norms = sum(
        np.sqrt((weights**2).sum(axis)).sum() for axis in ((0, 1, 2), 3)
    )
    loss = float(names["model"].losses[0])
    np.testing.assert_allclose(loss, 0.003 * norms, rtol=1e-6)
    assert kernel.constraint.threshold == 1e-4


def test_the_scales_work():
    import keras
    import numpy as np

    inputs = keras.Input((4,))
    y = keras.layers.Dense(4, "relu")(inputs)
    outputs = keras.layers.Dense(1)(keras.layers.Add()([inputs, y]))
    model = keras.Model(inputs, outputs)
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    names = run_example("docs/structure.md", "scales", model=model, x=x, y=x)
    assert names["smaller"].count_params() <= model.count_params()
    np.testing.assert_allclose(
        names["smaller"](x), names["scaled"](x), rtol=1e-5, atol=1e-6
    )


def test_the_proximal_steps_work():
    import keras

    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    model = keras.Model(inputs, keras.layers.BatchNormalization()(x))
    names = run_example("docs/penalties.md", "proximal")
    names["optimizer"].build(model.trainable_variables)
    assert len(names["optimizer"]._rules) == 2


def test_channels_are_removed():
    from tests.structure import networks

    model = networks.residual()
    smaller = run_example("docs/structure.md", "structure", model=model)[
        "smaller"
    ]
    cost = dsr_tf.structure.cost(model).parameters
    assert 0.4 * cost < dsr_tf.structure.cost(smaller).parameters <= 0.5 * cost


def test_channels_that_masks_emptied_are_removed():
    from tests.structure import networks

    model = dsr_tf.sparsify(
        networks.sequential(), 0.5, granularity="channel", seed=0
    )
    names = {"model": model, "structure": dsr_tf.structure}
    smaller = run_example("docs/structure.md", "zeros", **names)["smaller"]
    inputs = networks.inputs_of(model)
    networks.assert_equal_outputs(model, smaller, inputs, 2e-6)
    assert smaller.get_layer("conv2").filters < 7


def test_the_penalty_on_groups_works():
    from tests.structure import networks

    names = {
        "model": networks.shake(networks.sequential()),
        "structure": dsr_tf.structure,
        "dsr_tf": dsr_tf,
    }
    model = run_example("docs/structure.md", "penalized", **names)["penalized"]
    assert len(model.losses) == 4 and float(sum(model.losses)) > 0


def test_weights_are_clustered(tmp_path):
    model = make_model()
    names = run_example(
        "docs/clustering.md",
        "clustering",
        model=model,
        path=tmp_path / "model.packed",
        x=np.ones((8, 12), "float32"),
        y=np.ones((8, 3), "float32"),
    )
    for weight in dsr_tf.layers.clustered_weights(names["loaded"]).values():
        assert len(np.unique(weight.kernel())) <= 17
    before = dsr_tf.sparsity_summary(model).num_active
    assert dsr_tf.sparsity_summary(names["loaded"]).num_active == before


def test_storing_active_weights_only():
    import keras
    import numpy as np

    model = keras.Sequential(
        [keras.Input((256,)), keras.layers.Dense(96), keras.layers.Dense(256)]
    )
    x = np.ones((8, 256), "float32")
    names = {"model": model, "x": x, "y": x}
    sparse = run_example("docs/storage.md", "storage", **names)["sparse"]
    assert [layer.storage for layer in sparse.layers] == ["blocks", "blocks"]
