"""The recipes that remove channels, trained in both of their phases."""

import json
import os

import keras
import numpy as np
import pytest

from dsr_tf import models
from dsr_tf.commands import compare
from dsr_tf.commands import train
from dsr_tf.comparison.plan import plan
from dsr_tf.training import checkpoint
from tests.training import left_behind

# Batches of 100 digits, 14 steps an epoch; 64-500-300-10.
FLAGS = [
    "--dataset=digits",
    "--model=mlp",
    "--initial_gamma=0.5",
    "--epochs=2",
    "--nojit_compile",
    "--steps_per_execution=1",
    "--checkpoint_every_steps=5",
]
# Of fc2 by its scales, fc1 stays.
NARROW = ["--method=slimming", "--keep_share=fc2:0.2"]


def run(folder, *more):
    train.main(["train", *FLAGS, f"--output_dir={folder}", *more])
    summary = json.loads((folder / "summary.json").read_text())
    path = folder / "model.keras"
    return summary, keras.models.load_model(path, compile=False)


def gammas(model, name):
    return np.array(model.get_layer(f"{name}_bn").gamma)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The first phase of slimming: its folder, its summary, its model."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    return folder, *run(folder, "--method=slimming", "--penalty=0.01")


@pytest.fixture(scope="module")
def second(first, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "second"
    flags = [f"--initial_checkpoint={first[0]}", "--checkpoints_to_keep=9"]
    return folder, *run(folder, *NARROW, *flags)


def test_the_penalty_is_on_scales_alone(first):
    _, summary, model = first
    assert "narrowed" not in summary and summary["num_parameters"] == 186610
    for name in ("fc1", "fc2"):
        assert model.get_layer(f"{name}_bn").gamma_regularizer.l1 == 0.01
        assert model.get_layer(name).kernel_regularizer is None
        # They started from a half.
        assert np.abs(gammas(model, name)).mean() < 0.4


def test_the_largest_scales_stay(first, second):
    _, summary, model = second
    assert summary["narrowed"]["units"] == {"fc1": [500, 500], "fc2": [60, 300]}
    assert summary["num_parameters"] == 64 * 500 + 500 * 60 + 600 + 10 + 1120
    assert summary["test_accuracy"] > 0.9
    kept = checkpoint.read(second[0] / "checkpoints" / "step-0.npz")
    started = dict(zip(kept.names, kept.values))["fc2_bn/gamma"]
    largest = np.sort(np.abs(gammas(first[2], "fc2")))[-60:]
    np.testing.assert_array_equal(np.sort(np.abs(started)), largest)
    assert model.get_layer("fc2_bn").gamma_regularizer is None


def test_resumes_without_the_first_run(first, second, tmp_path):
    left_behind.after(0, second[0], tmp_path / "run")
    flags = [*NARROW, f"--initial_checkpoint={first[0]}", "--resume"]
    with left_behind.gone(first[0]):
        summary, model = run(tmp_path / "run", *flags)
    assert summary["narrowed"] == second[1]["narrowed"]
    for ours, theirs in zip(model.weights, second[2].weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_filters_of_a_budget(first, tmp_path):
    """As many parameters as are active in the sparse network."""
    summary, model = run(
        tmp_path / "run",
        "--method=l1_filters",
        "--sparsity=0.8",
        f"--initial_checkpoint={first[0]}",
    )
    # A fifth of 185,000 weights, 10 biases, 1,600 of normalization.
    budget = 37000 + 1610
    (ours, _), (theirs, _) = summary["narrowed"]["units"].values()
    # The same share of each, and one more of either would be too many.
    assert ours / 500 == pytest.approx(theirs / 300, abs=0.004)
    assert budget - (64 + 300) <= summary["num_parameters"] <= budget
    assert summary["test_accuracy"] > 0.9


PLAIN = ["--nobatch_normalization", "--initial_gamma=1"]


def refusal(folder, capsys, *more):
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        run(folder, "--method=slimming", *PLAIN, *more)
    assert end.value.code == 2 and not folder.exists()
    return capsys.readouterr().err


def test_networks_without_scales_are_refused(tmp_path, capsys):
    message = "--method=slimming: needs a network whose channels are scaled"
    assert message in refusal(tmp_path / "run", capsys)
    dense = models.mlp((8, 8, 1), 10, batch_normalization=False)
    dense.save(tmp_path / "dense.keras")
    started = f"--initial_checkpoint={tmp_path}/dense.keras"
    message = "--method=slimming: Model 'mlp' has no channels that `slimming`"
    assert message in refusal(tmp_path / "run", capsys, started)


@pytest.fixture
def flagfiles(tmp_path):
    contents = {
        "penalized": ["--method=slimming", "--penalty=0.01"],
        "slim": ["--method=slimming", "--initial_checkpoint={penalized}"],
        "shared": [*NARROW, "--initial_checkpoint={penalized}"],
        "filters": ["--method=l1_filters", "--initial_checkpoint={penalized}"],
    }
    for name, lines in contents.items():
        (tmp_path / f"{name}.flags").write_text("\n".join(lines))
    return [str(tmp_path / f"{name}.flags") for name in contents]


def test_a_comparison_has_one_first_phase(flagfiles):
    runs = plan(flagfiles, [3], [0.5, 0.2], "out", FLAGS)
    assert [str(run) for run in runs] == [
        "penalized, seed 3",
        "slim, density 0.5, seed 3",
        "slim, density 0.2, seed 3",
        "shared, seed 3",
        "filters, density 0.5, seed 3",
        "filters, density 0.2, seed 3",
    ]
    for each in runs[1:]:
        assert each.needs == [os.path.join("out", "penalized-seed3")]


def test_they_are_compared(flagfiles, tmp_path, capsys):
    flags, out = [*FLAGS, "--epochs=1"], f"{tmp_path}/out"
    # What a comparison does in processes of their own.
    for each in plan(flagfiles[:2], [1], [0.2], out, flags):
        train.main(["train", *each.arguments])
    compare.main(
        [
            "compare",
            f"--flagfiles={flagfiles[0]},{flagfiles[1]}",
            "--densities=0.2",
            f"--output_dir={out}",
            *flags,
        ]
    )
    printed = capsys.readouterr().out
    assert "2 runs, 2 of them finished before" in printed
    table = (tmp_path / "out" / "comparison.md").read_text().splitlines()
    first, second = sorted(table[2:])
    folder = tmp_path / "out" / "slim-0.2-seed1"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["num_parameters"] <= 38610
    macs = f"{summary['num_macs']:,}"
    assert first.startswith("| 0.2 | slim | ") and f"| {macs} |" in first
    assert second.startswith("| – | penalized | ") and "185,000" in second
