"""`--method=rnn_pruning` and `std_threshold`: their flags, and trained."""

import csv

import keras
import numpy as np
import pytest

from dsr_tf import layers
from dsr_tf import recipes
from dsr_tf.command_line import UsageError
from dsr_tf.core.schedule import Schedule
from dsr_tf.pruning import LinearThreshold
from dsr_tf.pruning import StdThreshold
from dsr_tf.recipes.network import Network
from tests.conftest import values
from tests.recipes.narrowed_runs import experiment
from tests.recipes.narrowed_runs import trained


def rows(folder):
    with open(folder / "reallocations.csv") as file:
        return list(csv.DictReader(file))


def test_a_recurrent_network_is_pruned(tmp_path):
    """Digits by their 8 rows, 14 steps an epoch: by the paper's schedule."""
    folder = tmp_path / "run"
    summary = trained(
        folder,
        model="lstm_rows",
        width=0.25,
        method="rnn_pruning",
        pruning_hparams="q=[lstm:0.1],frequency=7",
        epochs=8,
    )
    # s = 14, r = 28, e = 56, and the dense layer is not among them.
    rule = LinearThreshold(0.1, 14, 28, 56, 7)
    found = rows(folder)
    assert [int(row["step"]) for row in found] == list(range(21, 56, 7))
    model = keras.models.load_model(folder / "model.keras", compile=False)
    densities = {
        weight.path: weight.num_active / weight.size
        for weight in layers.masked_weights(model)
    }
    assert densities["fc/kernel"] == 1
    assert 0.1 < densities["lstm/lstm_cell/kernel"] < 0.8
    assert 0.1 < densities["lstm/lstm_cell/recurrent_kernel"] < 0.8
    # What is left is above the last threshold but for what training did.
    kernel = values(layers.masked_weights(model)[0].kernel)
    small = np.abs(kernel[kernel != 0]) < rule.threshold_at(0.1, 49) / 2
    assert small.mean() < 0.2
    assert summary["test_accuracy"] > 0.6


def test_a_trained_network_is_pruned_by_its_deviation(dense_run, tmp_path):
    dense, dense_summary = dense_run
    folder = tmp_path / "run"
    summary = trained(
        folder,
        method="std_threshold",
        initial_checkpoint=str(dense),
        pruning_hparams="quality=[fc1:1.2,fc2:1.0]",
        learning_rate=Schedule(0.01),
        epochs=4,
    )
    # Once an epoch, up to the middle.
    assert [int(row["step"]) for row in rows(folder)] == [14, 28]
    model = keras.models.load_model(folder / "model.keras", compile=False)
    active = [w.num_active / w.size for w in layers.masked_weights(model)]
    assert 0.05 < active[0] < 0.6 and 0.05 < active[1] < 0.6
    assert active[2] == 1
    assert summary["mask_density"] < 0.6
    assert summary["test_accuracy"] > dense_summary["test_accuracy"] - 0.05


def made(method, hparams, steps_per_epoch=600, **settings):
    """The rule that flags make."""
    given = experiment(method=method, pruning_hparams=hparams, **settings)
    given = given.scaled()
    recipe = recipes.get(method)
    dense = Network(given, (8, 8, 1), 10).build(1.0)
    model = recipe.convert(given, dense)
    return recipe.callback(given, model, steps_per_epoch).rule


def test_the_schedules_that_flags_leave_out():
    rule = made("rnn_pruning", "q=0.3", epochs=20)
    assert rule == LinearThreshold(0.3, 600, 3000, 6000, 100)
    rule = made("rnn_pruning", "q=0.3,end=9000,ramp_factor=2", epochs=20)
    assert rule == LinearThreshold(0.3, 600, 3000, 9000, 100, 2.0)
    rule = made("std_threshold", "quality=[fc1:1,fc:0.5]", epochs=20)
    assert rule == StdThreshold({"fc1": 1, "fc": 0.5}, 600, 0, 6001)


def test_scaled():
    """What is given in updates as well as what follows from the epochs."""
    text = "q=[fc1:0.3],start=100,frequency=50"
    rule = made("rnn_pruning", text, epochs=20, schedule_scale=0.1)
    assert rule == LinearThreshold({"fc1": 0.3}, 10, 300, 600, 5)
    # So does the frequency of the paper, left out or not.
    rule = made("rnn_pruning", "q=0.3", epochs=20, schedule_scale=0.1)
    assert rule == LinearThreshold(0.3, 300, 300, 600, 10)
    given = "quality=1,end=100,frequency=1"
    rule = made("std_threshold", given, epochs=20, schedule_scale=0.1)
    assert rule == StdThreshold(1.0, 1, 0, 10)


@pytest.mark.parametrize(
    "method, hparams, message",
    [
        ("rnn_pruning", "", "needs q=NUMBER, or q=.REGEX:NUMBER"),
        ("std_threshold", "frequency=2", "needs quality=NUMBER"),
        ("std_threshold", "q=1", "with names among quality, frequency"),
        ("rnn_pruning", "q=1,end=1e3", "`end` must be of type int"),
        ("rnn_pruning", "q=1,end=2147483648", "`end` must be at most 2147483"),
    ],
)
def test_flags_that_do_not_fit(method, hparams, message):
    with pytest.raises(UsageError, match=f"--pruning_hparams={hparams}: ") as e:
        experiment(method=method, pruning_hparams=hparams)
    assert e.match(message)
