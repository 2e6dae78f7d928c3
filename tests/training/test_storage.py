"""Runs whose networks store active weights only, by `--storage`."""

import json

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf.commands import evaluate
from dsr_tf.commands import export
from dsr_tf.commands import report
from dsr_tf.commands import train
from dsr_tf.layers import masked_weights
from dsr_tf.layers.storages import devices
from dsr_tf.training import checkpoint
from tests.conftest import values
from tests.training import left_behind

FLAGS = [
    "--dataset=digits",
    "--model=mlp",
    "--epochs=2",
    "--learning_rate=0.05",
    "--method=set",
    "--fraction=0.2",
    "--period=3",
    "--width=0.3",
    "--batch_size=200",
    "--seed=3",
    # Compiling takes longer than these runs, as does a loop over steps.
    "--nojit_compile",
    "--steps_per_execution=1",
]
# What storages need.
STORAGES = {
    "blocks": ["--granularity=block:16"],
    "lists": ["--granularity=element"],
}


def run(folder, *more):
    train.main(["train", *FLAGS, f"--output_dir={folder}", *more])
    return json.loads((folder / "summary.json").read_text())


def load(folder):
    return keras.models.load_model(folder / "model.keras", compile=False)


@pytest.mark.parametrize(
    "storage", ["blocks", pytest.param("lists", marks=pytest.mark.slow)]
)
def test_a_run_is_resumed_and_its_model_used(storage, tmp_path, capsys):
    more = [f"--storage={storage}", *STORAGES[storage]]
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    summary = run(whole, *more)
    assert summary["num_reallocations"] == 4
    assert summary["mask_density"] == pytest.approx(0.1, abs=2e-3)
    assert [k["storage"] for k in summary["kernels"]] == [storage] * 3
    assert f"Stored as {storage}: " in capsys.readouterr().out

    left_behind.after(7, whole, halved)
    run(halved, *more, "--resume")
    models = load(whole), load(halved)
    for ours, theirs in zip(*(model.variables for model in models)):
        np.testing.assert_array_equal(values(ours), values(theirs))
    name = "reallocations.csv"
    assert (whole / name).read_text() == (halved / name).read_text()

    for path in (whole / "model.keras", whole / "saved_model"):
        capsys.readouterr()
        evaluate.main(["evaluate", f"--model={path}"])
        assert f"{summary['test_accuracy']:.2%}" in capsys.readouterr().out
    report.main(["report", f"--run={whole}"])
    assert "mlp" in capsys.readouterr().out
    export.main(
        ["export", f"--model={whole}", f"--output={tmp_path / 'm.packed'}"]
    )
    assert (tmp_path / "m.packed").stat().st_size


def test_rigl_goes_on_from_the_gradients_that_it_has_found(tmp_path):
    """An epoch ends with the step that looks, the next begins by moving."""
    more = ["--method=rigl", "--period=7", "--storage=blocks"]
    more += STORAGES["blocks"]
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    assert run(whole, *more)["num_reallocations"] == 1
    left_behind.after(7, whole, halved)
    newest = checkpoint.read_newest(halved / "checkpoints")
    found = [name for name in newest.names if "candidates" in name]
    assert len(found) == 6
    run(halved, *more, "--resume")
    for ours, theirs in zip(*(load(f).variables for f in (whole, halved))):
        np.testing.assert_array_equal(values(ours), values(theirs))


@pytest.mark.slow
def test_masks_that_are_copied_have_room(tmp_path):
    more = ["--granularity=block:16", "--epochs=1"]
    run(tmp_path / "first", *more)
    copying = [
        *more,
        "--method=static",
        f"--copy_masks_from={tmp_path / 'first'}",
        "--storage=blocks",
    ]
    run(tmp_path / "second", *copying)
    run(tmp_path / "second", *copying, "--resume", "--epochs=2")
    first, second = (load(tmp_path / name) for name in ("first", "second"))
    for ours, theirs in zip(*map(masked_weights, (first, second))):
        assert theirs.layer.storage == "blocks"
        np.testing.assert_array_equal(
            ours.variable.places(), theirs.variable.places()
        )


def test_what_is_chosen_is_in_the_checkpoint(tmp_path, monkeypatch):
    """Where a run goes on, it stores as it did, whatever pays there."""
    more = ["--granularity=block:32", "--storage=auto", "--keep_dense=none"]
    folder = tmp_path / "run"
    run(folder, *more, "--epochs=1")
    newest = checkpoint.read_newest(folder / "checkpoints")
    assert [name for name, _ in newest.storages] == ["blocks"] * 2 + ["masked"]
    monkeypatch.setattr(
        dsr_tf.layers.storages.get("blocks"), "pays", lambda *_: False
    )
    summary = run(folder, *more, "--resume")
    assert [k["storage"] for k in summary["kernels"]] == ["blocks"] * 2 + [
        "masked"
    ]


def test_pruning_and_narrowing(tmp_path, capsys):
    hparams = "pruning_frequency=2,sparsity_function_end_step=8"
    summary = run(
        tmp_path / "run",
        "--method=gradual",
        "--storage=blocks",
        "--granularity=channel",
        "--keep_dense=fc3",
        f"--pruning_hparams={hparams}",
        "--sparsity=0.5",
        "--narrow",
    )
    assert "Stored as blocks: fc1/kernel, fc2/kernel." in (
        capsys.readouterr().out
    )
    assert summary["mask_density"] == pytest.approx(0.5, abs=0.01)
    assert summary["narrowed"]["num_parameters"] < summary["num_parameters"]


@pytest.mark.parametrize(
    "first", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_a_run_moves_to_a_gpu_and_from_it(first, tmp_path, monkeypatch):
    """Where numbers of places are of another type."""
    more = ["--storage=blocks", *STORAGES["blocks"]]
    on_gpu = first
    monkeypatch.setattr(devices, "computes_on_gpu", lambda: on_gpu)
    run(tmp_path / "run", *more, "--epochs=1")
    on_gpu = not first
    assert run(tmp_path / "run", *more, "--resume")["num_reallocations"] == 4
