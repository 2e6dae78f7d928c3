"""Runs on several replicas: they stay equal, and equal to one device's."""

import csv

import numpy as np
import pytest
import tensorflow as tf
from absl import flags

from dsr_tf import command_line
from dsr_tf.layers import masked_weights
from dsr_tf.training import experiment as experiments
from dsr_tf.training.run import Run
from tests.conftest import assert_zero_outside_masks

# Batches of 100 digits, 14 steps an epoch, on two logical devices.
FLAGS = [
    "--dataset=digits",
    "--strategy=mirrored",
    "--sparsity=0.9",
    "--num_reallocated=300",
    "--period=7",
    "--epochs=3",
    "--seed=3",
    "--nojit_compile",
]
METHODS = [
    ["gradual", "--pruning_hparams=pruning_frequency=7,begin_pruning_step=7"],
]
BY_HAND = [
    ["rigl"],
    ["deep_r", "--temperature=1e-5", "--l1=1e-4"],
    ["dense"],
    ["hashed"],
    ["static"],
    ["set"],
    ["snfs"],
    ["dsr"],
]
METHODS += [pytest.param(m, marks=pytest.mark.slow) for m in BY_HAND]


def prepared(folder, *more):
    flag_values = flags.FlagValues()
    experiments.define_flags(flag_values)
    arguments = [*FLAGS, f"--output_dir={folder}", *more]
    command_line.parse_flags(flag_values, "train", arguments)
    return Run(experiments.from_flags(flag_values))


def rows(folder, name="reallocations"):
    with open(folder / f"{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def variables(run):
    return [*run.model.variables, *run.model.optimizer.variables]


def assert_replicas_equal(run):
    """Everything that is stored, to the bit."""
    for variable in variables(run):
        copies = [copy.numpy() for copy in variable.value.values]
        assert len(copies) == 2
        np.testing.assert_array_equal(*copies, err_msg=variable.path)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m[0])
def test_every_method(method, tmp_path):
    name, *more = method
    run = prepared(tmp_path / "run", f"--method={name}", *more)
    assert run.train()["test_accuracy"] > 0.7
    assert run.model.optimizer.iterations.numpy() == 42
    assert_replicas_equal(run)
    assert_zero_outside_masks(run.model)
    if name in ("dense", "hashed", "static"):
        return
    moved = rows(tmp_path / "run")
    assert len(moved) > 3
    assert sum(int(row["num_pruned"]) for row in moved) > 200
    if name != "gradual":
        assert {row["num_active"] for row in moved} == {"5020"}


@pytest.mark.slow
def test_200_reallocations(tmp_path):
    """With XLA, and the running statistics of normalization among all."""
    run = prepared(
        tmp_path / "run", "--period=1", "--epochs=15", "--jit_compile"
    )
    summary = run.train()
    assert summary["num_reallocations"] == 209
    assert summary["test_accuracy"] > 0.95
    assert {row["num_active"] for row in rows(tmp_path / "run")} == {"5020"}
    assert_replicas_equal(run)
    assert_zero_outside_masks(run.model)


ONE = ["--steps_per_execution=1"]
SGD = ["--learning_rate=0.05", "--l2=0.0005"]
# With a decay that two epochs show.
ADAMW = ["--optimizer=adamw", "--learning_rate=0.001", "--weight_decay=10"]
STORED = ["--storage=blocks", "--granularity=block:4", "--fraction=0.1", *SGD]


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("dsr", SGD),
        ("static", [*ADAMW, *ONE]),
        pytest.param("rigl", [*STORED, *ONE], marks=pytest.mark.slow),
        pytest.param(
            "rigl", [*STORED, "--jit_compile"], marks=pytest.mark.slow
        ),
        pytest.param("rigl", SGD, marks=pytest.mark.slow),
    ],
)
def test_as_on_one_device(method, more, tmp_path):
    """Without normalization, which knows its replica's images only."""
    results = {}
    for strategy in ("default", "mirrored"):
        run = prepared(
            tmp_path / strategy,
            f"--method={method}",
            f"--strategy={strategy}",
            "--nobatch_normalization",
            "--l1=1e-5",
            "--epochs=2",
            *more,
        )
        run.train()
        results[strategy] = run
        metrics = rows(tmp_path / strategy, "metrics")
        results[f"{strategy} metrics"] = [
            [float(row[name]) for name in ("loss", "accuracy", "test_loss")]
            for row in metrics
        ]
    np.testing.assert_allclose(
        results["default metrics"], results["mirrored metrics"], rtol=1e-4
    )
    one, two = (results[name].model for name in ("default", "mirrored"))
    same = [
        np.array_equal(a.variable.places(), b.variable.places())
        for a, b in zip(masked_weights(one), masked_weights(two))
    ]
    assert all(same)
    for a, b in zip(one.trainable_variables, two.trainable_variables):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=2e-5)


@pytest.mark.slow
def test_resumes_to_the_bit(tmp_path):
    more = ["--checkpoint_every_steps=7", "--period=5"]
    whole = prepared(tmp_path / "whole", *more)
    whole.train()
    prepared(tmp_path / "run", *more, "--epochs=2").train()
    (tmp_path / "run" / "checkpoints" / "step-28.npz").unlink()
    run = prepared(tmp_path / "run", *more, "--resume")
    assert run.start == 21
    run.train()
    assert rows(tmp_path / "whole") == rows(tmp_path / "run")
    for a, b in zip(variables(whole), variables(run)):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=a.path)


@pytest.mark.slow
@pytest.mark.skipif(
    len(tf.config.list_physical_devices("GPU")) < 2, reason="needs two GPUs"
)
def test_two_gpus(tmp_path):
    """WRN-28-2 at its full size, as fast as it goes: 200 reallocations."""
    run = prepared(
        tmp_path / "run",
        "--model=wrn_28_2",
        "--dataset=random",
        "--image_size=32",
        "--batch_size=256",
        "--num_reallocated=2000",
        "--period=5",
        "--epochs=26",
        "--jit_compile",
    )
    steps = run.steps_per_epoch * 26
    summary = run.train()
    assert summary["num_reallocations"] == (steps - 1) // 5
    assert summary["num_reallocations"] > 200
    active = {row["num_active"] for row in rows(tmp_path / "run")}
    assert len(active) == 1
    assert_replicas_equal(run)
    assert_zero_outside_masks(run.model)
