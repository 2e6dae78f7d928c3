"""Runs that are stopped, meet damage, or go wrong."""

import errno
import os
import shutil
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

from dsr_tf import data as datasets
from dsr_tf.commands import train
from dsr_tf.layers import masked_weights
from dsr_tf.training import build
from dsr_tf.training import checkpoint
from dsr_tf.training import guard
from dsr_tf.training.lock import FolderLock

# Batches of 100 digits: 14 steps an epoch.
FLAGS = [
    "--dataset=digits",
    "--sparsity=0.9",
    "--epochs=4",
    "--num_reallocated=300",
    "--period=5",
    "--steps_per_execution=1",
    "--checkpoint_every_steps=4",
    "--nojit_compile",
    "--seed=3",
]


def arguments(folder, *more):
    return ["train", *FLAGS, f"--output_dir={folder}", *more]


def ends(code, folder, *more):
    """Run, and end with this exit code."""
    with pytest.raises(SystemExit) as error:
        train.main(arguments(folder, *more))
    assert error.value.code == code


def assert_same_run(first, second, has_ages=True):
    """Weights, masks, state and the moves of two runs, to the bit."""
    moves = [(f / "reallocations.csv").read_text() for f in (first, second)]
    assert moves[0] == moves[1] and moves[0].count("\n") == 12
    if has_ages:
        ages = [(f / "ages.csv").read_text() for f in (first, second)]
        assert ages[0] == ages[1]
    newest = [
        checkpoint.read_newest(f / "checkpoints") for f in (first, second)
    ]
    assert newest[0].step == newest[1].step == 56
    # The metrics of an epoch count from where it was resumed.
    for name, a, b in zip(newest[0].names, *(n.values for n in newest)):
        if "accuracy" not in name and "loss" not in name:
            np.testing.assert_array_equal(a, b, err_msg=name)


def at_step(monkeypatch, step, action):
    """Do something once after that many updates."""
    original = keras.callbacks.CallbackList.on_train_batch_end

    def on_train_batch_end(self, batch, logs=None):
        if int(self._model.optimizer.iterations) == step:
            action()
        original(self, batch, logs)

    monkeypatch.setattr(
        keras.callbacks.CallbackList, "on_train_batch_end", on_train_batch_end
    )


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The folder of a run that was stopped after 23 of its 56 steps."""
    folder = tmp_path_factory.mktemp("runs") / "stopped"
    with pytest.MonkeyPatch.context() as patch:
        at_step(patch, 23, lambda: os.kill(os.getpid(), signal.SIGTERM))
        ends(143, folder)
    names = sorted(os.listdir(folder / "checkpoints"))
    assert names == ["step-20.npz", "step-23.npz"]
    return folder


@pytest.fixture
def halfway(stopped, tmp_path):
    """A copy of it."""
    return shutil.copytree(stopped, tmp_path / "halfway")


def damage(path, kind):
    content = path.read_bytes()
    if kind == "cut":
        content = content[: len(content) // 2]
    elif kind == "empty":
        content = b""
    else:
        middle = len(content) // 2
        changed = bytes([content[middle] ^ 1])
        content = content[:middle] + changed + content[middle + 1 :]
    path.write_bytes(content)


@pytest.mark.parametrize(
    "kind",
    ["one bit"]
    + [pytest.param(k, marks=pytest.mark.slow) for k in ("cut", "empty")],
)
def test_a_damaged_checkpoint_is_passed_over(kind, whole, halfway, caplog):
    damage(halfway / "checkpoints" / "step-23.npz", kind)
    train.main(arguments(halfway, "--resume"))
    assert "step-23.npz is damaged" in caplog.text
    assert "trying the one before it" in caplog.text
    assert_same_run(whole, halfway)


def test_all_checkpoints_damaged(halfway, capsys):
    before = (halfway / "metrics.csv").read_text()
    for path in (halfway / "checkpoints").iterdir():
        damage(path, "cut")
    ends(2, halfway, "--resume")
    printed = capsys.readouterr().err
    assert "no checkpoint in" in printed and "can be read" in printed
    assert (halfway / "metrics.csv").read_text() == before


def test_two_runs_in_a_folder(halfway, whole, capsys):
    before = {f: f.stat().st_mtime_ns for f in halfway.rglob("*")}
    lock = FolderLock(halfway)
    ends(2, halfway, "--resume")
    assert "another run is writing to it" in capsys.readouterr().err
    assert {f: f.stat().st_mtime_ns for f in halfway.rglob("*")} == before
    lock.release()
    train.main(arguments(halfway, "--resume"))
    assert_same_run(whole, halfway)


def test_a_loss_that_is_not_finite(tmp_path, capsys):
    ends(
        1,
        tmp_path / "run",
        "--learning_rate=1e30",
        "--nobatch_normalization",
    )
    printed = capsys.readouterr().err
    assert printed.count("train: ") == 1
    assert "not finite" in printed or "the loss is" in printed
    # The first epoch had not ended: there is none to speak of.
    assert "last checkpoint" not in printed
    assert "smaller --learning_rate" in printed
    for path in (tmp_path / "run" / "checkpoints").glob("*"):
        for value in checkpoint.read(path).values:
            assert np.isfinite(value).all()


@pytest.mark.slow
def test_a_full_disk(whole, tmp_path, monkeypatch, capsys):
    """As in `test_full_disks.py`, where no file system can be mounted."""
    folder, save, calls = tmp_path / "run", np.savez, []

    def savez(file, **arrays):
        calls.append(file)
        if len(calls) == 3:
            file.write(b"as much as there is room for")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(file, **arrays)

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", savez)
        ends(1, folder)
    printed = capsys.readouterr().err
    assert "No space left on device" in printed
    assert "--resume goes on" in printed
    names = sorted(os.listdir(folder / "checkpoints"))
    assert names == ["step-4.npz", "step-8.npz"]
    train.main(arguments(folder, "--resume"))
    assert_same_run(whole, folder)


def test_checkpoints_to_keep(tmp_path):
    train.main(arguments(tmp_path / "run", "--checkpoints_to_keep=5"))
    names = os.listdir(tmp_path / "run" / "checkpoints")
    steps = sorted(int(name[5:-4]) for name in names)
    assert steps == [42, 44, 48, 52, 56]


@pytest.mark.parametrize("method", ["dsr", "deep_r"])
def test_a_budget_that_is_not_met(method, tmp_path, monkeypatch, capsys):
    """Something makes a weight active in the middle of training."""
    folder, models = tmp_path / "run", []
    compile_model = build.compile_model

    def compile_and_keep(model, *others):
        models.append(model)
        compile_model(model, *others)

    def tamper():
        weight = masked_weights(models[0])[0]
        mask = weight.mask.numpy()
        mask[tuple(np.argwhere(~mask)[0])] = True
        weight.mask.assign(mask)

    monkeypatch.setattr(build, "compile_model", compile_and_keep)
    at_step(monkeypatch, 23, tamper)
    ends(1, folder, f"--method={method}")
    printed = capsys.readouterr().err
    assert printed.count("train: ") == 1
    assert "a budget of 5021 active weights, which was 5020" in printed
    newest = checkpoint.read_newest(folder / "checkpoints")
    assert newest.step == 24


@pytest.fixture
def folder_flags(tmp_path):
    """A folder of eight images, of two classes, and how to train on it."""
    image = np.zeros((20, 20, 3), "uint8")
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(4):
                path = tmp_path / split / name / f"{number}.png"
                path.write_bytes(tf.io.encode_png(image).numpy())
    return [
        "--dataset=image_folder",
        f"--data_dir={tmp_path}",
        "--image_size=16",
        "--batch_size=4",
        "--checkpoint_every_steps=1",
    ]


def assert_failed_step(reason, folder, capsys):
    """One sentence, and the checkpoints from before are whole."""
    printed = capsys.readouterr().err
    (line,) = (li for li in printed.splitlines() if li.startswith("train: "))
    assert line.startswith(f"train: a step failed: {reason}")
    assert line.endswith("--resume goes on")
    checkpoints = folder / "checkpoints"
    for path in checkpoints.iterdir() if checkpoints.exists() else []:
        checkpoint.read(path)


def test_a_file_that_is_no_image(tmp_path, folder_flags, capsys):
    """Found while training, long after its folder was listed."""
    (tmp_path / "train" / "cat" / "2.png").write_bytes(b"no image")
    ends(1, tmp_path / "run", *folder_flags)
    assert_failed_step("Unknown image file format", tmp_path / "run", capsys)


@pytest.mark.parametrize(
    "change, reason",
    [
        ("ends early", "Input dataset was expected to contain 8 elements but"),
        ("label", "assertion failed: [A label of image_folder is not below 2"),
    ],
)
def test_data_that_are_not_as_promised(
    change, reason, tmp_path, folder_flags, monkeypatch, capsys
):
    """That end early, or hold a label that there is no class for."""
    load = datasets.load

    def load_changed(*arguments):
        data = load(*arguments)
        shuffled = data.train.shuffled
        if change == "label":
            data.train._labels[3] = 2
        else:
            data.train.shuffled = lambda seed: shuffled(seed).take(7)
        return data

    monkeypatch.setattr(datasets, "load", load_changed)
    ends(1, tmp_path / "run", *folder_flags)
    assert_failed_step(reason, tmp_path / "run", capsys)


def test_an_augmentation_that_cannot_be(tmp_path, capsys):
    for split in ("train", "test"):
        (tmp_path / split / "cat").mkdir(parents=True)
        (tmp_path / split / "cat" / "0.png").write_bytes(b"never read")
    ends(
        2,
        tmp_path / "run",
        "--dataset=image_folder",
        f"--data_dir={tmp_path}",
        "--augmentation=crop_flip",
        "--batch_size=1",
    )
    assert "flag --augmentation=crop_flip: The images of" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "run").exists()


def test_what_several_parts_of_a_step_say_is_said_once():
    message = (
        "Graph execution error:\n\n2 root error(s) found.\n"
        "  (0) INVALID_ARGUMENT:  No such place.\n\t [[{{node while}}]]\n"
        "  (1) INVALID_ARGUMENT:  No such place.\n"
    )
    error = tf.errors.InvalidArgumentError(None, None, message)
    assert guard.reason(error) == "No such place"
