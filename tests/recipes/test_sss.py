"""`--method=sss`: one run that drops branches, or two with a budget."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from dsr_tf import recipes
from dsr_tf import structure
from dsr_tf.command_line import UsageError
from dsr_tf.commands import evaluate
from dsr_tf.core.schedule import Schedule
from dsr_tf.layers import Scale
from dsr_tf.training.run import Run
from tests.recipes.narrowed_runs import experiment
from tests.recipes.narrowed_runs import trained
from tests.recipes.test_narrowing import WITHOUT

# Nine blocks of two convolutions for images of 8x8.
NETWORK = {
    "model": "resnet_cifar",
    "depth": 20,
    "width": 0.25,
    "method": "sss",
    "learning_rate": Schedule(0.1),
    "l2": 0.001,
}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The folder of a run with the penalty, and its summary."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    return folder, trained(folder, **NETWORK, penalty=0.15, epochs=4)


def scales_of(folder):
    model = keras.models.load_model(folder / "model.keras")
    found = [x for x in model.layers if isinstance(x, Scale)]
    return model, np.array([float(x.scale[0]) for x in found])


def num_branches(folder):
    model = keras.models.load_model(folder / "model.keras")
    return sum(type(x).__name__ == "Add" for x in model.layers)


def test_the_first_phase_is_a_run_as_any(first):
    model, scales = scales_of(first[0])
    assert len(scales) == 9
    assert 0 < (scales == 0).sum() < 9
    assert (scales >= 0).all()
    (rule,) = model.optimizer.proximal.values()
    assert rule.strength == 0.15 and rule.non_negative


def test_what_is_0_is_not_written_with_narrow(tmp_path, capsys):
    """As in the paper: no training follows, the accuracy is the same."""
    folder = tmp_path / "run"
    summary = trained(folder, **NETWORK, penalty=0.3, epochs=3, narrow=True)
    narrowed = summary["narrowed"]
    assert narrowed["test_accuracy"] == pytest.approx(
        summary["test_accuracy"], abs=0.003
    )
    assert narrowed["num_parameters"] < narrowed["dense_num_parameters"]
    assert summary["num_macs"] < narrowed["dense_num_macs"]
    # All units of a branch go, or none.
    units = narrowed["units"].items()
    gone = [name for name, (left, _) in units if not left]
    assert len(gone) == 9 - num_branches(folder) > 0
    assert all(left in (0, total) for _, (left, total) in units)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(folder / "model.keras")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    evaluate.main(["evaluate", f"--model={folder}/saved_model"])
    assert f"{summary['test_accuracy']:.2%}" in capsys.readouterr().out


def test_the_second_phase_trains_what_is_left(first, tmp_path):
    model, scales = scales_of(first[0])
    left = (scales > 0).sum()
    settings = {**NETWORK, "initial_checkpoint": str(first[0]), "epochs": 1}
    # Without a budget only zeros go.
    flags = experiment(tmp_path / "run", **settings)
    smaller = recipes.get("sss").prepare(flags, model, None)
    assert sum(type(x).__name__ == "Add" for x in smaller.layers) == left
    budget = structure.cost(smaller).parameters - 1
    summary = trained(tmp_path / "run", **settings, parameter_budget=budget)
    assert summary["num_parameters"] <= budget
    assert num_branches(tmp_path / "run") < left


def test_flags(tmp_path):
    recipe = recipes.get("sss")
    assert not recipe.has_density(experiment(method="sss"))
    with pytest.raises(UsageError, match="--narrow=true: needs a --method"):
        experiment(method="sss", initial_checkpoint="run", narrow=True)
    flags = {"model": "mlp", "method": "sss", "output_dir": str(tmp_path / "a")}
    with pytest.raises(UsageError, match="has no branches to scale"):
        Run(experiment(**flags, folder=tmp_path / "a"))
