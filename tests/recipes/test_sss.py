"""`--method=sss`: one run that drops branches, or two with a budget."""

import shutil

import keras
import numpy as np
import pytest

from dsr_tf import recipes
from dsr_tf.command_line import UsageError
from dsr_tf.commands import evaluate
from dsr_tf.core.schedule import Schedule
from dsr_tf.layers import Scale
from dsr_tf.training import checkpoint
from dsr_tf.training.run import Run
from tests.recipes.narrowed_runs import experiment
from tests.recipes.narrowed_runs import trained
from tests.repository.test_flagfiles import experiment_of

# Three blocks of two convolutions for images of 8x8; 14 steps an epoch.
NETWORK = {
    "model": "resnet_cifar",
    "depth": 8,
    "width": 0.25,
    "method": "sss",
    "learning_rate": Schedule(0.1),
    "l2": 0.001,
    "seed": 3,
}
PENALIZED = {
    **NETWORK,
    "penalty": 0.2,
    "epochs": 3,
    "checkpoint_every_steps": 10,
    "checkpoints_to_keep": 9,
    "narrow": True,
}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A run that has trained with the penalty, and its folder and summary."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    run = Run(experiment(folder, **PENALIZED))
    return run, folder, run.train()


def scales_of(model):
    return [x.scale for x in model.layers if isinstance(x, Scale)]


def num_left(model):
    return sum(float(scale[0]) > 0 for scale in scales_of(model))


def num_branches(folder):
    model = keras.models.load_model(folder / "model.keras")
    return sum(type(x).__name__ == "Add" for x in model.layers)


def weights_of(folder):
    newest = checkpoint.read_newest(folder / "checkpoints")
    # The metrics of an epoch count from where it was resumed.
    return {
        name: value
        for name, value in zip(newest.names, newest.values)
        if "accuracy" not in name and "loss" not in name
    }


def test_factors_become_0(first):
    model = first[0].model
    scales = np.array(scales_of(model))
    assert scales.shape == (3, 1) and (scales >= 0).all()
    assert 0 < num_left(model) < 3
    (rule,) = model.optimizer.proximal.values()
    assert rule.strength == 0.2 and rule.non_negative


def test_what_is_0_is_not_written(first, capsys):
    """As in the paper: no training follows, the accuracy is the same."""
    run, folder, summary = first
    narrowed = summary["narrowed"]
    assert narrowed["test_accuracy"] == pytest.approx(
        summary["test_accuracy"], abs=0.003
    )
    assert narrowed["num_parameters"] < narrowed["dense_num_parameters"]
    assert summary["num_macs"] < narrowed["dense_num_macs"]
    # The budget was not kept: all have trained, with their factors.
    assert summary["num_active_parameters"] == narrowed["num_parameters"]
    assert summary["num_parameters"] == narrowed["num_parameters"]
    assert (
        summary["largest_num_active_parameters"]
        == narrowed["dense_num_parameters"] + 3
    )
    # All units of a branch go, or none.
    units = narrowed["units"].items()
    gone = [name for name, (left, _) in units if not left]
    assert num_branches(folder) == num_left(run.model) == 3 - len(gone)
    assert all(left in (0, total) for _, (left, total) in units)
    model = keras.models.load_model(folder / "model.keras")
    assert all(type(x).__module__.startswith("keras.") for x in model.layers)
    evaluate.main(["evaluate", f"--model={folder}/saved_model"])
    assert f"{summary['test_accuracy']:.2%}" in capsys.readouterr().out


def test_it_resumes_to_the_bit(first, tmp_path):
    """From a step before the end of the first epoch."""
    checkpoints = tmp_path / "run" / "checkpoints"
    shutil.copytree(first[1] / "checkpoints", checkpoints)
    for path in checkpoints.glob("step-*.npz"):
        if path.stem not in ("step-0", "step-10"):
            path.unlink()
    run = Run(experiment(tmp_path / "run", **PENALIZED, resume=True))
    assert run.start == 10
    run.train()
    ours, theirs = weights_of(first[1]), weights_of(tmp_path / "run")
    assert any("_scale/" in name for name in ours)
    for name, value in ours.items():
        np.testing.assert_array_equal(value, theirs[name], err_msg=name)


def test_the_second_phase_trains_what_is_left(first, tmp_path):
    model = first[0].model
    model.save(tmp_path / "first.keras")
    settings = {**NETWORK, "epochs": 1}
    settings["initial_checkpoint"] = str(tmp_path / "first.keras")
    summary = trained(tmp_path / "run", **settings)
    # Without a budget only zeros go.
    assert num_branches(tmp_path / "run") == num_left(model)
    narrowed = summary["narrowed"]
    assert summary["num_parameters"] == narrowed["num_parameters"]
    assert summary["num_parameters"] < narrowed["dense_num_parameters"]


def test_a_budget(first):
    """Shares are of the network without scales."""
    model = keras.models.clone_model(first[0].model)
    for scale, value in zip(scales_of(model), (0.3, 0.1, 0.2), strict=True):
        scale.assign([value])
    settings = {**NETWORK, "initial_checkpoint": "run"}
    flags = experiment(**settings, parameter_budget=0.9999)
    smaller = recipes.get("sss").prepare(flags, model, None)
    adds = [x.name for x in smaller.layers if type(x).__name__ == "Add"]
    assert adds == ["group1_block1_add", "group3_block1_add"]


def test_flags(tmp_path):
    recipe = recipes.get("sss")
    assert not recipe.has_density(experiment(method="sss"))
    with pytest.raises(UsageError, match="--narrow=true: needs a --method"):
        experiment(method="sss", initial_checkpoint="run", narrow=True)
    flags = {"model": "mlp", "method": "sss"}
    with pytest.raises(UsageError, match="has no branches to scale"):
        Run(experiment(tmp_path / "run", **flags))


@pytest.mark.parametrize(
    "name, strength", [("weak", 0.003), ("", 0.01), ("strong", 0.03)]
)
def test_flagfiles_of_three_strengths(name, strength):
    flags = experiment_of("wrn28_2_cifar10", f"sss_{name}".rstrip("_"))
    assert flags.narrow and flags.l2 == 0.0005 and flags.nesterov
    (rule,) = recipes.get("sss").proximal(flags).values()
    assert rule.strength == strength and rule.non_negative
