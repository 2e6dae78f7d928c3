"""Flags that say how much of a network stays, given to a run without use."""

import pytest

from dsr_tf import recipes
from dsr_tf.commands import train
from tests.recipes.narrowed_runs import experiment


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({"method": "dsr"}, []),
        ({"method": "thin", "parameter_budget": 0.5}, []),
        ({"method": "slimming", "initial_checkpoint": "x", "energy": None}, []),
        (
            {"method": "dsr", "parameter_budget": 0.5},
            ["flag --parameter_budget=0.5: --method=dsr does not use it"],
        ),
        (
            {"method": "thin", "mac_budget": 9000, "keep_share": "fc1:0.5"},
            [
                "flag --mac_budget=9000: --method=thin does not use it",
                "flag --keep_share=fc1:0.5: --method=thin does not use it",
            ],
        ),
        (
            {"method": "thinet", "initial_checkpoint": "x", "energy": "kl"},
            ["flag --energy=kl: --method=thinet does not use it"],
        ),
        (
            {"method": "pfa", "initial_checkpoint": "x", "energy": "kl"},
            [],
        ),
        (
            {"method": "slimming", "keep_share": "0.5"},
            [
                "flag --keep_share=0.5: --method=slimming uses it in "
                "--phase=narrow only, which needs --initial_checkpoint"
            ],
        ),
        (
            {
                "method": "slimming",
                "keep_share": "0.5",
                "initial_checkpoint": "x",
            },
            [],
        ),
    ],
)
def test_what_is_not_used_is_named(settings, expected):
    assert recipes.unused_amounts(experiment(**settings)) == expected


def test_a_run_says_so_in_one_line(tmp_path, caplog):
    flags = ["--method=static", "--epochs=1", "--nojit_compile"]
    flags += ["--parameter_budget=0.5", f"--output_dir={tmp_path / 'run'}"]
    train.main(["train", *flags])
    said = [x.getMessage() for x in caplog.records if "budget" in x.message]
    assert said == [
        "flag --parameter_budget=0.5: --method=static does not use it"
    ]
