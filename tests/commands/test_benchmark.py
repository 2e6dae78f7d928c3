"""What `dsr_tf.benchmark` counts: reallocations, and no compilation."""

import dataclasses
import io
import json

import keras
import pytest
import tensorflow as tf
from absl import logging

from dsr_tf.commands import benchmark
from dsr_tf.commands import benchmark_arm
from dsr_tf.commands import benchmark_layers
from dsr_tf.commands import benchmark_memory
from dsr_tf.commands import benchmark_network
from tests.commands.test_commands import refuse

FEW = ["--nojit_compile", "--steps=4", "--measured_period=4"]


@pytest.fixture
def rounds(monkeypatch):
    """A list to which each round is added: network, moves, if it counts."""
    found, counts = [], []
    fit, measure = benchmark_arm.Arm.fit, benchmark_arm.Arm.measure

    def noted_fit(arm):
        seconds, moves = fit(arm)
        found.append((arm.name, len(moves), bool(counts)))
        return seconds, moves

    def noted_measure(arm):
        counts.append(arm)
        measure(arm)
        counts.pop()

    monkeypatch.setattr(benchmark_arm.Arm, "fit", noted_fit)
    monkeypatch.setattr(benchmark_arm.Arm, "measure", noted_measure)
    return found


def test_every_round_has_a_reallocation_and_none_is_the_first(
    rounds, monkeypatch, capsys
):
    """Where a round is exactly a period: RigL too, whose reallocation needs
    a gradient of the step before it."""
    warnings = []
    monkeypatch.setattr(logging, "warning", lambda *a: warnings.append(a))
    benchmark.main(
        # More steps than the epochs of the schedule have.
        ["benchmark", "--networks=static,rigl,dsr", "--rounds=3", "--epochs=1"]
        + FEW
    )
    moves = {"static": 0, "rigl": 1, "dsr": 1}
    counted = [(name, moves) for name, moves, counts in rounds if counts]
    assert sorted(counted) == sorted([*moves.items()] * 3)
    for name in ("rigl", "dsr"):
        before = [n for arm, n, counts in rounds if arm == name and not counts]
        # Nothing is due at step 0; then the first is compiled.
        assert before == [0, 1]
    assert not warnings
    printed = capsys.readouterr().out
    assert "3 rounds of 4 steps, a reallocation" in " ".join(printed.split())
    rows = [line.split() for line in printed.splitlines()]
    (row,) = (row for row in rows if row[:1] == ["rigl"])
    assert row[-1].endswith("%")


def test_a_round_that_would_hold_no_reallocation(tmp_path, capsys):
    error = refuse(
        benchmark,
        ["--networks=dense,set", "--steps=99", "--period=100"],
        tmp_path,
        capsys,
    )
    assert "--steps=99: a round must hold a reallocation" in error
    assert "100 steps apart" in error and "--measured_period" in error


def test_nothing_to_measure_is_an_error(capsys):
    with pytest.raises(SystemExit) as end:
        benchmark.main(["benchmark", "--networks=set", "--stop_epoch=0", *FEW])
    assert end.value.code == 1
    error = capsys.readouterr().err
    assert "set: no weights have moved" in error and "--stop_epoch" in error


def test_a_round_of_whole_epochs_holds_a_reallocation():
    assert benchmark_arm.round_steps(100, 14) == 112
    assert benchmark_arm.round_steps(100, 600) == 600
    assert benchmark_arm.round_steps(14, 14) == 14


def test_one_round(rounds, capsys, tmp_path):
    path = tmp_path / "times.json"
    benchmark.main(
        ["benchmark", "--networks=dense", "--rounds=1", "--steps=1"]
        + ["--nojit_compile", "--mixed_precision=bfloat16"]
        + [f"--output={path}"]
    )
    printed = " ".join(capsys.readouterr().out.split())
    assert "1 round of 1 step, a reallocation" in printed
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
    content = json.loads(path.read_text())
    (dense,) = content["networks"]
    assert dense["network"] == "dense" and dense["to_dense"] == 1
    assert f"{dense['seconds']:.3f} 1.000" in printed
    # There was nothing to measure these by.
    assert dense["to_static"] is dense["reallocation_ms"] is None
    assert content["tensorflow"] == tf.__version__ and content["device"]
    settings = content["settings"]
    assert settings["rounds"] == 1 and settings["period"].startswith("0:100,")
    # Neither paths of this machine, nor what has had no effect.
    assert not {"output", "data_dir", "method"} & set(settings)


def test_networks_again_and_saving():
    assert benchmark._recipe("rigl_again") is benchmark._recipe("rigl")
    assert benchmark._recipe("dsr_saving").name == "dsr"
    assert benchmark._recipe("dsr_saving_again").name == "dsr"
    for name in ("dsr_saving", "dsr_saving_again"):
        assert benchmark._saves(name)
    assert not benchmark._saves("dsr_again")
    for name in ("thin", "hashed", "gradual", "x_again", "", "_again"):
        assert benchmark._recipe(name) is None


def test_other_devices_are_refused(tmp_path, capsys):
    error = refuse(benchmark, ["--strategy=mirrored"], tmp_path, capsys)
    assert "--strategy=mirrored: one device is measured" in error


STORAGES = [
    "benchmark",
    "--storage=masked,blocks",
    "--widths=64,48,4",
    "--densities=0.5,0.25",
    "--block=16",
    "--batch_size=8",
    "--rounds=1",
    "--steps=2",
]


def test_storages(capsys, monkeypatch, tmp_path):
    # Each is measured in a process of its own, see below.
    monkeypatch.setattr(benchmark_memory, "of", lambda arm: 3e6)
    path = tmp_path / "storages.json"
    benchmark.main([*STORAGES, f"--output={path}"])
    lines = capsys.readouterr().out.splitlines()
    rows = [line.strip() for line in lines if " 3 " in line]
    assert [row.split("  ")[0] for row in rows] == [
        "dense layers",
        "dense layers again",
        "masked, 0.5",
        "blocks, 0.5",
        "masked, 0.25",
        "blocks, 0.25",
    ]
    content = json.loads(path.read_text())
    assert content["settings"]["widths"] == [64, 48, 4]
    for row, network in zip(rows, content["networks"], strict=True):
        assert row.split("  ")[0] == network["network"]
        assert network["memory_mb"] == 3
        assert f"{network['ms_a_step']:.2f}" in row


@pytest.mark.parametrize("kind", benchmark_layers.KINDS)
def test_memory_of_a_storage(kind, capsys, monkeypatch):
    setting = benchmark_network.Setting([64, 48, 4], 16, 8, layers=kind, size=3)
    arm = benchmark_network.Arm("blocks", setting, "blocks", 0.5)
    settings = json.dumps(dataclasses.asdict(arm))
    monkeypatch.setattr("sys.stdin", io.StringIO(settings))
    benchmark_memory.measure()
    assert -1e9 < float(capsys.readouterr().out) < 1e9


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--output=.", "--output=.: must be a new file"),
        ("--storage=rings", "must be among masked, blocks"),
        ("--widths=64,4", "--widths must have the inputs, a hidden layer"),
    ],
)
def test_bad_storages(flag, message, capsys):
    with pytest.raises(SystemExit) as error:
        benchmark.main([*STORAGES, flag])
    assert error.value.code == 2
    assert message in capsys.readouterr().err
