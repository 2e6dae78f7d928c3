"""Recipes of methods that look at images: thinet, lasso, pfa."""

import numpy as np
import pytest

from dsr_tf import recipes
from dsr_tf.command_line import UsageError
from dsr_tf.training.run import Run
from tests.recipes.narrowed_runs import PARAMETERS
from tests.recipes.narrowed_runs import experiment
from tests.recipes.narrowed_runs import trained


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "thinet", "num_places": 2},
        {"method": "lasso", "num_places": 5},
        {"method": "pfa"},
    ],
    ids=str,
)
def test_it_trains_what_a_budget_leaves(settings, dense_run, tmp_path):
    folder, _ = dense_run
    # As many images as there are units, for pfa.
    summary = trained(
        tmp_path / "run",
        initial_checkpoint=str(folder),
        parameter_budget=0.25,
        num_examples=300,
        epochs=1,
        **settings,
    )
    num_parameters = summary["num_parameters"]
    # One unit more of fc1 would be 64 + 2 and what fc2 has.
    assert PARAMETERS / 4 - 200 < num_parameters <= PARAMETERS / 4
    assert summary["narrowed"]["num_parameters"] == num_parameters
    assert summary["test_accuracy"] > 0.9


@pytest.mark.parametrize(
    "energy, others",
    [("kl", {}), ("0.9", {}), (None, {"keep_share": "0.3"})],
)
def test_pfa_chooses_how_much(energy, others, dense_run, tmp_path):
    flags = experiment(
        method="pfa",
        initial_checkpoint=str(dense_run[0]),
        energy=energy,
        num_examples=300,
        **others,
    )
    assert not recipes.get("pfa").has_density(flags)
    run = Run(
        experiment(
            tmp_path / "run",
            method="pfa",
            initial_checkpoint=str(dense_run[0]),
            energy=energy,
            num_examples=300,
            **others,
        )
    )
    units = [run.model.get_layer(name).units for name in ("fc1", "fc2")]
    if others:
        # One threshold for all units together.
        assert sum(units) == pytest.approx(0.3 * 400, abs=2)
    assert units[0] < 300 and units[1] < 100


def test_too_few_images_name_their_flag(dense_run, tmp_path):
    with pytest.raises(UsageError) as error:
        Run(
            experiment(
                tmp_path / "run",
                method="pfa",
                initial_checkpoint=str(dense_run[0]),
                energy="kl",
                num_examples=200,
            )
        )
    assert str(error.value).startswith(
        "flag --num_examples=200: `data` must hold at least as many examples "
        "as a layer has units, 300 in 'fc1'"
    )


def test_a_share_and_an_energy_do_not_go_together():
    with pytest.raises(UsageError, match="--energy=kl: says how much stays"):
        experiment(
            method="pfa", initial_checkpoint="x", energy="kl", keep_share="0.5"
        )


def test_seeds_and_rules_choose(dense_run, tmp_path):
    """What is chosen depends on nothing else."""
    kernels = [
        Run(
            experiment(
                tmp_path / str(number),
                method="thinet",
                initial_checkpoint=str(dense_run[0]),
                keep_share="0.1",
                num_examples=50,
                seed=seed,
                thinet_rule=rule,
            )
        )
        .model.get_layer("fc1")
        .kernel.numpy()
        for number, (seed, rule) in enumerate(
            [(0, "discard"), (0, "discard"), (1, "discard"), (0, "keep")]
        )
    ]
    first, again, other_seed, other_rule = kernels
    np.testing.assert_array_equal(first, again)
    for other in (other_seed, other_rule):
        assert np.abs(first - other).max() > 0
