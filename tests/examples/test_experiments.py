"""What examples/experiments/ writes, and that its networks train."""

import importlib.util
import json
import pathlib

import pytest

import dsr_tf
from tests.conftest import needs_tensorflow

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def choosing():
    spec = importlib.util.spec_from_file_location(
        "experiment_choosing", ROOT / "examples/experiments/choosing.py"
    )
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


@pytest.fixture
def trained(choosing, monkeypatch):
    """What would have been trained: sparsity, epochs and callback of each."""
    found = []

    def train(sparsity, sets, epochs, callback=None, optimizer=None):
        found.append((sparsity, epochs, callback))
        return len(found) / 100

    monkeypatch.setattr(choosing, "train", train)
    for name in ("make_perceptron", "make_lstm"):
        monkeypatch.setattr(choosing, name, lambda seed: None)
    monkeypatch.setattr(
        dsr_tf, "sparsify", lambda _, sparsity, *a, **b: sparsity
    )
    return found


@needs_tensorflow
def test_runs_are_written_and_printed(choosing, trained, tmp_path, capsys):
    folder = tmp_path / "digits"
    arguments = ["rescaled", "--seeds=2", f"--output_dir={folder}"]
    choosing.main(arguments)
    content = json.loads((folder / "rescaled.json").read_text())
    assert content["settings"]["learning_rate"] == 0.1
    assert content["version"] and content["device"]
    assert content["runs"] == [
        {
            "experiment": "rescaled",
            "choice": choice,
            "seed": seed,
            "test_accuracy": accuracy,
        }
        for seed, choice, accuracy in [
            (0, "fixed", 0.01),
            (0, "RigL", 0.02),
            (0, "DSR", 0.03),
            (1, "fixed", 0.04),
            (1, "RigL", 0.05),
            (1, "DSR", 0.06),
        ]
    ]
    assert {sparsity for sparsity, _, _ in trained} == {0.95}
    printed = " ".join(capsys.readouterr().out.split())
    assert "RigL 3.50 ± 2.12" in printed
    # What is there stays.
    with pytest.raises(SystemExit):
        choosing.main(arguments)
    assert len(trained) == 6


@needs_tensorflow
@pytest.mark.parametrize(
    "name, sparsity, num_choices",
    [("periods", 0.97, 8), ("scopes", 0.95, 16), ("rows", 0.9, 6)],
)
def test_choices(name, sparsity, num_choices, choosing, trained):
    choices = [choice for choice, _ in choosing.EXPERIMENTS[name](0)]
    assert len(set(choices)) == len(choices) == num_choices
    for choice, (found, _, callback) in zip(choices, trained, strict=True):
        assert found == sparsity
        assert (callback is None) == ("fixed" in choice)


@needs_tensorflow
def test_a_network_learns(choosing):
    sets = choosing.load_split(0, 64)
    assert [len(x) for x, _ in sets] == [1437, 360]
    assert (sets[1][1] != choosing.load_split(1, 64)[1][1]).any()
    model = dsr_tf.sparsify(choosing.make_perceptron(0), 0.5, seed=0)
    assert choosing.train(model, sets, 1) > 0.5
    assert dsr_tf.sparsity_summary(model).num_active == 25100


def test_results_are_those_of_the_script(choosing):
    """All experiments, each with the same choices for every seed."""
    folder = ROOT / "results" / "digits"
    if not folder.exists():
        pytest.skip("results/ is not beside the tests")
    for name in choosing.EXPERIMENTS:
        content = json.loads((folder / f"{name}.json").read_text())
        runs = content["runs"]
        seeds = {run["seed"] for run in runs}
        choices = {run["choice"] for run in runs}
        assert {run["experiment"] for run in runs} == {name}
        assert len(runs) == len(seeds) * len(choices)
        assert seeds == {*range(3)} or seeds == {*range(5)}
