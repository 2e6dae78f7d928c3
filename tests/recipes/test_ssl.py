"""`--method=ssl`, trained in both of its phases."""

import keras
import numpy as np
import pytest

from dsr_tf.command_line import UsageError
from dsr_tf.core.schedule import Schedule
from dsr_tf.training.run import Run
from tests.recipes.narrowed_runs import experiment
from tests.recipes.narrowed_runs import trained
from tests.training import left_behind

# 64-500-300-10, without normalization.
MLP = {"model": "mlp", "batch_normalization": False}
# Strong enough to make zeros within some steps.
PENALTY = {
    **MLP,
    "method": "ssl",
    "penalty": 0.03,
    "learning_rate": Schedule({0: 0.05, 10: 0.01}),
    "epochs": 12,
}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The folder of the first phase, its summary, and its model."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    summary = trained(folder, **PENALTY)
    path = folder / "model.keras"
    return folder, summary, keras.models.load_model(path, compile=False)


def second(folder, first, **settings):
    return trained(
        folder,
        **MLP,
        method="ssl",
        initial_checkpoint=str(first[0]),
        learning_rate=Schedule(0.05),
        **settings,
    )


def test_the_penalty_makes_zeros(first):
    _, summary, model = first
    assert summary["num_parameters"] == 64 * 500 + 500 * 300 + 3000 + 810
    assert summary["test_accuracy"] > 0.9
    kernel = np.array(model.get_layer("fc1").kernel)
    assert (~kernel.any(axis=0)).sum() > 50
    for weights in model.trainable_variables:
        small = np.abs(np.array(weights)) < 1e-4
        assert not np.array(weights)[small].any()
    penalty = model.get_layer("fc3").kernel_regularizer
    assert [p.granularity.name for p in penalty.regularizers] == ["input"]


def test_what_is_left_trains_under_a_budget(first, tmp_path):
    summary = second(tmp_path / "run", first, parameter_budget=4000)
    assert summary["num_parameters"] <= 4000
    assert summary["num_parameters"] > 4000 - 64 - 300
    assert summary["test_accuracy"] > 0.85
    assert list(summary["narrowed"]["units"]) == ["fc1", "fc2"]


# Of the inputs half.
SELECTED = {
    "keep_share": "^fc1/selection:0.5",
    "epochs": 1,
    "checkpoint_every_steps": 4,
    "checkpoints_to_keep": 9,
}


@pytest.fixture(scope="module")
def selected(first, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "selected"
    return folder, second(folder, first, **SELECTED)


def test_inputs_go_as_well(selected):
    _, summary = selected
    assert summary["narrowed"]["units"]["fc1/selection"] == [32, 64]
    assert summary["test_accuracy"] > 0.85


def test_resumes_without_the_first_run(first, selected, tmp_path):
    """Selections of inputs are in the network that checkpoints hold."""
    whole, expected = selected
    left_behind.after(4, whole, tmp_path / "run")
    with left_behind.gone(first[0]):
        resumed = second(tmp_path / "run", first, resume=True, **SELECTED)
    assert resumed["narrowed"] == expected["narrowed"]
    models = [
        keras.models.load_model(folder / "model.keras")
        for folder in (whole, tmp_path / "run")
    ]
    for ours, theirs in zip(*(m.weights for m in models), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_groups_that_a_network_has_not(tmp_path):
    flags = {**PENALTY, "penalty_groups": "channel,layer"}
    with pytest.raises(UsageError) as error:
        Run(experiment(tmp_path / "run", **flags))
    assert str(error.value).startswith("flag --penalty_groups=channel,layer: ")
    assert "has no 'layer'" in str(error.value)
