"""Flags on how weights move that a run has no use for are named."""

import dataclasses
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl import flags

import dsr_tf
from dsr_tf import command_line
from dsr_tf import methods
from dsr_tf import recipes
from dsr_tf.commands import train
from dsr_tf.training import experiment as experiments
from dsr_tf.training.unused import Asked
from dsr_tf.training.unused import unused_moves
from tests.recipes.narrowed_runs import experiment

FLAGFILES = sorted(
    (pathlib.Path(__file__).parents[2] / "flags").glob("**/*.flags")
)


@pytest.fixture(scope="module")
def model():
    """Of 25000 active weights."""
    inputs = keras.Input((500,))
    dense = keras.Model(inputs, keras.layers.Dense(500)(inputs))
    return dsr_tf.sparsify(dense, 0.9, seed=0)


def images():
    one = np.zeros((4, 8, 8, 1), "float32"), np.zeros(4, "int32")
    return tf.data.Dataset.from_tensors(one)


def from_flags(*given):
    flag_values = flags.FlagValues()
    experiments.define_flags(flag_values)
    command_line.parse(flag_values, ["t", *given, "--output_dir=x"], "")
    for name in ("initial_checkpoint", "copy_masks_from"):
        if "{" in (flag_values[name].value or ""):
            flag_values[name].value = "run"
    return experiments.from_flags(flag_values)


def said(model, given, recipe=None):
    asked = Asked(given.scaled())
    recipe = recipe or recipes.get(given.method)
    recipe.callback(asked, model, 100, None, images)
    return unused_moves(given.to_dict(), asked)


@pytest.mark.parametrize("method", recipes.names())
def test_what_nobody_has_given_is_not_named(model, method):
    needed = {"std_threshold": "quality=1", "rnn_pruning": "q=1"}
    given = experiment(
        method=method,
        pruning_hparams=needed.get(method, ""),
        initial_checkpoint="x",
        schedule_scale=0.5,
    )
    assert said(model, given) == []


@pytest.mark.parametrize(
    "method, settings, expected",
    [
        ("set", {"growth": "alive"}, ["--growth=alive"]),
        ("dsr", {"growth": "alive", "start_magnitude": 0.1}, []),
        ("dsr", {"scope": "model"}, ["--scope=model"]),
        ("adaptive", {"scope": "model", "growth": "random"}, []),
        ("rigl", {"fraction": 0.2, "fraction_end_epoch": 3}, []),
        (
            "dsr",
            {"fraction": 0.2, "fraction_end_epoch": 3},
            ["--fraction=0.2", "--fraction_end_epoch=3"],
        ),
        ("set", {"num_reallocated": 300}, []),
        # Either of them says how many; SET asks for one only.
        (
            "set",
            {"num_reallocated": 300, "fraction": 0.1},
            ["--num_reallocated=300"],
        ),
        (
            "set",
            {"tolerance": 0.2, "initial_threshold": 0.1, "count_zeros": False},
            [
                "--tolerance=0.2",
                "--initial_threshold=0.1",
                "--count_zeros=false",
            ],
        ),
        ("static", {"period": "50", "stop_epoch": 1}, []),
        (
            "dense",
            {"period": "50", "stop_epoch": 1},
            ["--period=0:50", "--stop_epoch=1"],
        ),
        ("dense", {"period": "auto"}, ["--period=auto"]),
        # As by default, however it is written.
        ("dense", {"period": "0:100,25:200,50:400,75:800"}, []),
        ("dsr", {"temperature": "0:0.1"}, ["--temperature=0:0.1"]),
        ("deep_r", {"temperature": "0:0.1"}, []),
        ("gradual", {"pruning_hparams": "pruning_frequency=5"}, []),
        (
            "dsr",
            {"pruning_hparams": "pruning_frequency=5"},
            ["--pruning_hparams=pruning_frequency=5"],
        ),
        ("nest", {"num_reallocated": 0.1}, ["--num_reallocated=0.1"]),
    ],
)
def test_what_is_not_used_is_named(model, method, settings, expected):
    given = [f"--{name}={value}" for name, value in settings.items()]
    given = from_flags(*given, f"--method={method}", "--schedule_scale=0.5")
    assert said(model, given) == [
        f"flag {flag}: this run of --method={method} does not use it"
        for flag in expected
    ]


def test_a_method_of_ones_own_keeps_no_list(model):
    class Drift(methods.Method):
        flag_name = "drift"

        @classmethod
        def from_settings(cls, settings, num_active, steps_per_epoch):
            return methods.SET(settings.fraction)

    given = experiment(fraction=0.2, growth="alive")
    assert said(model, given, recipes.Reallocating(Drift)) == [
        "flag --growth=alive: this run of --method=dsr does not use it"
    ]


@pytest.mark.parametrize(
    "path", FLAGFILES, ids=lambda p: f"{p.parent.name}-{p.stem}"
)
def test_flagfiles_use_what_they_give(model, path):
    given = from_flags(f"--flagfile={path}")
    if given.num_reallocated > 20_000:  # More than this model has.
        given = dataclasses.replace(given, num_reallocated=20_000)
    assert said(model, given) == []
    assert recipes.unused_amounts(given) == []


def test_a_run_says_so_in_a_line_each(tmp_path, caplog):
    given = ["--method=set", "--epochs=1", "--nojit_compile", "--growth=alive"]
    output = f"--output_dir={tmp_path / 'run'}"
    train.main(["train", *given, "--live", output])
    sentences = [x.getMessage() for x in caplog.records if "flag" in x.message]
    assert sentences == [
        "flag --growth=alive: this run of --method=set does not use it",
        "flag --period=0:100,25:200,50:400,75:800: weights move 0 times in the "
        "14 updates of this run; --period=auto moves them five times an epoch",
        "flag --live: needs a terminal, and the output goes elsewhere",
    ]
