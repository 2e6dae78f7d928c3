"""Runs that are asked to stop: once, twice, and at any moment."""

import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from dsr_tf import export
from dsr_tf.commands import train
from dsr_tf.training import build
from dsr_tf.training import checkpoint
from dsr_tf.training import stop
from tests.training.test_bad_days import arguments
from tests.training.test_bad_days import assert_same_run
from tests.training.test_bad_days import at_step
from tests.training.test_bad_days import ends

SIGNALS = [(signal.SIGTERM, 143, "SIGTERM"), (signal.SIGINT, 130, "Ctrl-C")]
# One of them; the other by hand.
SIGTERM = [SIGNALS[0], pytest.param(*SIGNALS[1], marks=pytest.mark.slow)]
CTRL_C = [pytest.param(*SIGNALS[0], marks=pytest.mark.slow), SIGNALS[1]]


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    "step, number, code, name",
    [
        (23, *SIGNALS[0]),
        pytest.param(28, *SIGNALS[1], marks=pytest.mark.slow),
        pytest.param(28, *SIGNALS[0], marks=pytest.mark.slow),
        pytest.param(23, *SIGNALS[1], marks=pytest.mark.slow),
    ],
)
def test_the_first_saves_and_says_so(
    step,
    number,
    code,
    name,
    whole,
    tmp_path,
    monkeypatch,
    capsys,
):
    """In the middle of an epoch, and after its last step: no row is lost."""
    before, folder = signal.getsignal(number), tmp_path / "run"
    with monkeypatch.context() as patch:
        at_step(patch, step, lambda: send(number))
        ends(code, folder)
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line == (
        f"train: stopped by {name}, with a checkpoint; --resume goes on"
    )
    assert signal.getsignal(number) is before
    assert checkpoint.read_newest(folder / "checkpoints").step == step
    train.main(arguments(folder, "--resume"))
    assert_same_run(whole, folder)
    assert (folder / "metrics.csv").read_text().count("\n") == 5


@pytest.mark.parametrize("number, code, name", SIGTERM)
def test_in_the_last_validation(
    number, code, name, tmp_path, monkeypatch, capsys
):
    folder = tmp_path / "run"

    def on_test_end(self, logs=None):
        send(number)

    with monkeypatch.context() as patch:
        patch.setattr(keras.callbacks.CallbackList, "on_test_end", on_test_end)
        ends(code, folder, "--epochs=1")
    assert f"stopped by {name}, with a checkpoint" in capsys.readouterr().err
    assert os.listdir(folder / "checkpoints").count("step-14.npz") == 1
    assert not (folder / "summary.json").exists()
    train.main(arguments(folder, "--epochs=1", "--resume"))
    assert (folder / "summary.json").exists()


@pytest.mark.parametrize("number, code, name", CTRL_C)
def test_while_results_are_written(
    number, code, name, tmp_path, monkeypatch, capsys
):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(export, "saved_model", lambda *args: send(number))
        ends(code, folder, "--epochs=1")
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line == (
        f"train: stopped by {name}; the checkpoints are whole, and --resume "
        "goes on"
    )
    assert not (folder / ".unfinished").exists()


@pytest.mark.parametrize("number, code, name", SIGNALS)
def test_before_training(number, code, name, tmp_path, monkeypatch, capsys):
    def load_data(*arguments):
        send(number)

    monkeypatch.setattr(build, "load_data", load_data)
    ends(code, tmp_path / "run")
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line == f"train: stopped by {name} before it had begun"
    assert os.listdir(tmp_path) == []


def test_one_signal_sent_twice_at_once_is_one(tmp_path, monkeypatch, capsys):
    """As `timeout` does: to the process, and to its group."""

    def twice():
        send(signal.SIGTERM)
        send(signal.SIGTERM)

    at_step(monkeypatch, 9, twice)
    ends(143, tmp_path / "run", "--epochs=1")
    assert "with a checkpoint" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("number, code, name", SIGTERM)
def test_the_second_ends_a_run_that_hangs(number, code, name, tmp_path):
    """In reading a file whose content never comes, outside of Python."""
    data = tmp_path / "data"
    image = tf.io.encode_png(np.zeros((16, 16, 3), "uint8")).numpy()
    for split in ("train", "test"):
        for label in ("cat", "dog"):
            (data / split / label).mkdir(parents=True)
            (data / split / label / "0.png").write_bytes(image)
    last = data / "train" / "cat" / "1.png"
    last.write_bytes(image)
    folder = tmp_path / "run"
    flags = ["--dataset=image_folder", f"--data_dir={data}", "--image_size=16"]
    process = subprocess.Popen(
        [sys.executable, "-m", "dsr_tf.train", f"--output_dir={folder}"]
        + [*flags, "--batch_size=1", "--nojit_compile", "--method=dense"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while "Epoch 1" not in process.stdout.readline():
        assert process.poll() is None, process.stderr.read()
    # Each epoch reads each file; this one could not be a pipe at the start.
    last.unlink()
    os.mkfifo(last)
    time.sleep(4)  # What was read before is trained on.
    process.send_signal(number)
    time.sleep(2 * stop._SECONDS_BETWEEN)
    assert process.poll() is None
    process.send_signal(number)
    _, error = process.communicate(timeout=30)
    assert process.returncode == code
    (line,) = (li for li in error.splitlines() if "dsr_tf.train" in li)
    assert f"ended by a second {name}; the checkpoints are whole" in line
    assert "Traceback" not in error
