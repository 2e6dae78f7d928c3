"""`--method=nest`: its flags, and a run that is narrowed in the end."""

import csv

import keras
import numpy as np
import pytest

from dsr_tf import layers
from dsr_tf import recipes
from dsr_tf.command_line import UsageError
from tests.conftest import values
from tests.recipes.narrowed_runs import PARAMETERS
from tests.recipes.narrowed_runs import experiment
from tests.recipes.narrowed_runs import trained


def test_a_seed_grows_and_is_pruned(tmp_path):
    """Digits, 14 steps an epoch."""
    folder = tmp_path / "run"
    summary = trained(
        folder,
        method="nest",
        sparsity=0.8,
        pruning_hparams="frequency=4,grow_steps=3,prune_share=0.1,neurons=2",
        num_examples=64,
        epochs=3,
        narrow=True,
    )
    with open(folder / "reallocations.csv") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [*range(4, 42, 4)]
    grown = [int(row["num_grown"]) for row in rows]
    assert all(grown[:3]) and not any(grown[3:])
    active = [int(row["num_active"]) for row in rows]
    assert active == [*sorted(active[:3]), *sorted(active[3:], reverse=True)]
    # A fifth of 64 * 120 + 120 * 40 + 40 * 10 connections.
    assert active[0] - grown[0] == 1536 + 960 + 80
    num_others = summary["num_active_parameters"] - active[-1]
    assert summary["largest_num_active_parameters"] == active[2] + num_others
    assert summary["narrowed"]["num_parameters"] < PARAMETERS / 2
    first, second = summary["narrowed"]["units"].values()
    assert first[0] <= 126 and second[0] <= 46
    assert summary["test_accuracy"] > 0.7
    assert "examples of its own" in summary["training_macs_unknown"]
    assert "num_training_macs" not in summary
    model = keras.models.load_model(folder / "model.keras", compile=False)
    assert model.get_layer("fc1").units == first[0]


def test_what_flags_make():
    given = experiment(
        method="nest",
        sparsity=0.5,
        pruning_hparams="frequency=10,end=200,seed_width=0.5,target=0.9",
        schedule_scale=0.5,
        num_examples=3,
        seed=4,
    ).scaled()
    recipe = recipes.get("nest")
    dense = keras.Sequential([keras.Input((6,))])
    dense.add(keras.layers.Dense(8, name="a"))
    dense.add(keras.layers.Dense(4, name="b"))
    model = recipe.convert(given, dense)
    # Half of the connections of 4 units, which come first.
    first, second = (values(w.mask) for w in layers.masked_weights(model))
    assert (first.sum(), second.sum()) == (12, 8)
    assert not first[:, 4:].any() and not second[4:].any()

    import tensorflow as tf

    x, y = np.arange(24.0).reshape(4, 6), np.arange(4)
    images = tf.data.Dataset.from_tensor_slices((x, y)).batch(2)
    callback = recipe.callback(given, model, 14, images=lambda: images)
    settings = callback.hyperparameters
    assert (settings.frequency, settings.end) == (5, 100)
    assert (settings.target, settings.grow_steps) == (0.9, 10)
    assert callback.seed == 4
    for found, whole in zip(callback._data, (x, y)):
        np.testing.assert_array_equal(found, whole[:3])
    assert recipe.steps_between(given) == (5,)


@pytest.mark.parametrize(
    "hparams, message",
    [
        ("grow_share=2", "`grow_share` must be a number in .0, 1.. Received"),
        ("q=1", "with names among frequency, grow_steps"),
        ("end=2147483648", "`end` must be at most 2147483647"),
        ("seed_width=2", "`seed_width` must be .*. Received: seed_width=2"),
    ],
)
def test_flags_that_do_not_fit(hparams, message):
    with pytest.raises(UsageError, match=f"--pruning_hparams={hparams}: ") as e:
        experiment(method="nest", pruning_hparams=hparams)
    assert e.match(message)
