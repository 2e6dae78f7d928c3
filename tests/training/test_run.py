import csv
import json
import os
import shutil

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf.commands import evaluate
from dsr_tf.commands import train
from dsr_tf.training import checkpoint
from dsr_tf.training import environment
from dsr_tf.training.logs import Table
from dsr_tf.training.logs import read_table
from dsr_tf.training.logs import rows_below

# Batches of 100 digits: 14 steps an epoch.
FLAGS = [
    "--dataset=digits",
    "--sparsity=0.9",
    "--epochs=4",
    "--learning_rate=0:0.1,3:0.02",
    "--num_reallocated=300",
    "--period=0:4,2:6",
    "--l1=0.0001",
    # Compiling takes longer than these runs; one below does.
    "--nojit_compile",
]
FILES = {
    "summary.json",
    "metrics.csv",
    "reallocations.csv",
    "ages.csv",
    "masks.json",
    "checkpoints",
    "saved_model",
    "model.keras",
}


def run(folder, *more):
    train.main(["train", *FLAGS, f"--output_dir={folder}", *more])
    with open(folder / "summary.json") as file:
        return json.load(file)


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return folder, run(folder)


def test_a_run_that_needs_no_k_and_no_period(tmp_path):
    arguments = ["--epochs=2", "--period=auto", "--num_reallocated=0.1"]
    summary = run(tmp_path / "run", *arguments)
    assert summary["settings"]["period"] == "auto"
    assert summary["settings"]["num_reallocated"] == 0.1
    moved = rows(tmp_path / "run" / "reallocations.csv")
    # A fifth of 14 steps.
    assert [int(row["step"]) for row in moved] == list(range(2, 28, 2))


def test_files_and_summary(whole):
    folder, summary = whole
    assert set(os.listdir(folder)) == FILES
    assert summary["method"] == "dsr" and summary["epochs"] == 4
    assert summary["num_parameters"] == 50200 + 820
    assert summary["num_active_parameters"] == 5020 + 820
    assert summary["mask_density"] == 0.1
    assert 0.9 < summary["test_accuracy"] <= summary["best_test_accuracy"]
    assert summary["seconds_per_epoch"] > 0
    for name, value in environment.describe().items():
        assert summary[name] == value


def test_reallocations(whole):
    folder, summary = whole
    table = rows(folder / "reallocations.csv")
    # Epochs of 14 steps: multiples of 4 below 28, then of 6, below 56.
    steps = [4, 8, 12, 16, 20, 24, 30, 36, 42, 48, 54]
    assert [int(row["step"]) for row in table] == steps
    assert summary["num_reallocations"] == len(steps)
    for row in table:
        assert row["num_active"] == "5020"
        assert row["num_pruned"] == row["num_grown"]
        parts = [int(v) for k, v in row.items() if k.startswith("grown:")]
        assert len(parts) == 3 and sum(parts) == int(row["num_grown"])


def test_metrics(whole):
    folder, _ = whole
    table = rows(folder / "metrics.csv")
    assert [row["epoch"] for row in table] == ["0", "1", "2", "3"]
    rates = [float(row["learning_rate"]) for row in table]
    assert rates == [0.1, 0.1, 0.1, 0.02]
    assert float(table[-1]["loss"]) < float(table[0]["loss"])


def test_both_models_are_the_one_that_was_trained(whole, capsys):
    folder, summary = whole
    for path in (folder, folder / "saved_model", folder / "model.keras"):
        evaluate.main(["evaluate", f"--model={path}"])
        printed = capsys.readouterr().out
        assert f"{summary['test_accuracy']:.2%}" in printed
        assert "360 test images" in printed


def test_the_same_seed_gives_the_same_run(whole, tmp_path):
    folder, summary = whole
    again = run(tmp_path / "again")
    for name in ("test_accuracy", "best_test_accuracy"):
        assert again[name] == summary[name]
    text = (folder / "reallocations.csv").read_text()
    assert (tmp_path / "again" / "reallocations.csv").read_text() == text
    run(tmp_path / "other", "--seed=1", "--epochs=1")
    other = (tmp_path / "other" / "reallocations.csv").read_text()
    assert other.count("\n") == 4 and not text.startswith(other)


def test_epochs_that_are_over(whole, tmp_path, capsys):
    """Four: fewer would leave a summary of steps that were not all."""
    shutil.copytree(whole[0], tmp_path / "r")
    before = (tmp_path / "r" / "summary.json").read_bytes()
    with pytest.raises(SystemExit) as error:
        run(tmp_path / "r", "--epochs=3", "--resume")
    assert error.value.code == 2
    assert (
        "flag --epochs=3: ends at step 42, and --resume goes on from step 56 "
        f"of the run in --output_dir={tmp_path / 'r'}"
    ) in capsys.readouterr().err
    assert (tmp_path / "r" / "summary.json").read_bytes() == before


@pytest.mark.parametrize(
    "every, stop", [(0, 30), pytest.param(5, 33, marks=pytest.mark.slow)]
)
def test_resume_is_exact(whole, tmp_path, every, stop, monkeypatch):
    """Killed at an update, between checkpoints and after some more rows."""
    folder, summary = whole

    class Killed(Exception):
        pass

    original = keras.callbacks.CallbackList.on_train_batch_end

    def on_train_batch_end(self, batch, logs=None):
        original(self, batch, logs)
        if int(self._model.optimizer.iterations) >= stop:
            raise Killed

    more = [f"--checkpoint_every_steps={every}", "--steps_per_execution=1"]
    with monkeypatch.context() as patch:
        patch.setattr(
            keras.callbacks.CallbackList,
            "on_train_batch_end",
            on_train_batch_end,
        )
        with pytest.raises(Killed):
            run(tmp_path / "r", *more)
    newest = checkpoint.read_newest(tmp_path / "r" / "checkpoints")
    assert newest.step == (28 if every == 0 else 30)
    resumed = run(tmp_path / "r", *more, "--resume")
    assert resumed["test_accuracy"] == summary["test_accuracy"]
    for name in ("reallocations.csv", "ages.csv", "masks.json"):
        assert (tmp_path / "r" / name).read_text() == (
            folder / name
        ).read_text()
    models = [
        keras.models.load_model(f / "model.keras", compile=False)
        for f in (folder, tmp_path / "r")
    ]
    for first, second in zip(*(m.get_weights() for m in models)):
        np.testing.assert_array_equal(first, second)
    assert len(rows(tmp_path / "r" / "metrics.csv")) == 4


def test_a_finished_run_resumed_changes_nothing(whole):
    folder, summary = whole
    before = (folder / "metrics.csv").read_text()
    again = run(folder, "--resume")
    assert again["test_accuracy"] == summary["test_accuracy"]
    assert (folder / "metrics.csv").read_text() == before
    assert set(os.listdir(folder)) == FILES


def test_dense_static_and_set(tmp_path):
    dense = run(tmp_path / "dense", "--method=dense", "--epochs=1")
    assert dense["mask_density"] == 1 and dense["num_reallocations"] == 0
    static = run(tmp_path / "static", "--method=static", "--epochs=1")
    assert static["num_active_parameters"] == 5840
    assert static["num_reallocations"] == 0
    moving = run(tmp_path / "set", "--method=set", "--epochs=1")
    assert moving["num_active_parameters"] == 5840
    assert moving["num_reallocations"] == 3
    assert not rows(tmp_path / "static" / "metrics.csv")[0].get("threshold")


def test_keep_dense_erk_and_blocks(tmp_path):
    summary = run(
        tmp_path / "k",
        "--keep_dense=^fc3$",
        "--distribution=erk",
        "--granularity=block:2x2",
        "--epochs=1",
    )
    # 49200 weights in two kernels, 1820 other parameters.
    assert summary["num_active_parameters"] == 4920 + 1820
    columns = rows(tmp_path / "k" / "reallocations.csv")[0]
    assert "active:fc2/kernel" in columns
    assert "active:fc3/kernel" not in columns


def test_mixed_precision_compiled(tmp_path):
    summary = run(
        tmp_path / "b",
        "--mixed_precision=bfloat16",
        "--jit_compile",
        "--epochs=2",
    )
    assert summary["test_accuracy"] > 0.85
    assert summary["mask_density"] == 0.1


def test_schedule_scale(tmp_path):
    summary = run(
        tmp_path / "s",
        "--schedule_scale=0.5",
        "--stop_epoch=2",
    )
    assert summary["epochs"] == 2
    # Periods of 4 in epoch 0 only: 2 * 0.5 epochs.
    table = rows(tmp_path / "s" / "reallocations.csv")
    assert [row["step"] for row in table] == ["4", "8", "12"]


def test_a_checkpoint_is_never_half_written(tmp_path, monkeypatch):
    model = dsr_tf.sparsify(
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)]), 0.5
    )
    model.compile("sgd")
    checkpoint.save(tmp_path, model, 1, {"a": 1})

    def broken(file, **arrays):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", broken)
    with pytest.raises(OSError):
        checkpoint.save(tmp_path, model, 2, {})
    assert os.listdir(tmp_path) == ["step-1.npz"]
    newest = checkpoint.read_newest(tmp_path)
    assert (newest.step, newest.settings) == (1, {"a": 1})
    checkpoint.restore(newest, model)


def test_a_checkpoint_has_variables_of_a_scaled_loss_once(tmp_path):
    """Keras would make them anew each time that it builds the optimizer."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.AdamW())
    model.compile(scaled)
    for step in (1, 2):
        checkpoint.save(tmp_path, model, step, {})
        newest = checkpoint.read_newest(tmp_path)
        assert newest.names.count("dynamic_scale") == 1
        scaled.dynamic_scale.assign(8.0)
        checkpoint.restore(newest, model)
        assert float(scaled.dynamic_scale) == scaled.initial_scale


def test_old_checkpoints_go(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    model.compile("sgd")
    for step in (1, 9, 10, 11):
        checkpoint.save(tmp_path, model, step, {}, num_kept=2)
    assert sorted(os.listdir(tmp_path)) == ["step-10.npz", "step-11.npz"]


def test_a_table_drops_half_a_row_and_what_comes_again(tmp_path):
    path = tmp_path / "t.csv"
    table = Table(path)
    for step in (1, 2, 3):
        table.append({"step": step, "x": step * 0.5})
    with open(path, "a") as file:
        file.write("4")
    text = rows_below(path, read_table(path), "step", 3)
    again = Table(path, text)
    again.write()
    assert [row["step"] for row in again.rows] == ["1", "2"]
    assert path.read_text() == "step,x\n1,0.5\n2,1.0\n"
