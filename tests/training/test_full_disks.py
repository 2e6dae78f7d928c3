"""A disk that is full at any moment: a sentence, and the run goes on."""

import os
import subprocess

import keras
import numpy as np
import pytest
import tensorflow as tf

from dsr_tf import export
from dsr_tf.commands import train
from dsr_tf.training import checkpoint
from dsr_tf.training import files
from tests.training.test_bad_days import arguments
from tests.training.test_bad_days import assert_same_run
from tests.training.test_bad_days import ends

# What is about to be written when the disk fills.
MOMENTS = {
    "metrics.csv": (files, "append", "metrics.csv"),
    "reallocations.csv": (files, "append", "reallocations.csv"),
    "first row": (files, "written_whole", "metrics.csv"),
    "a checkpoint": (np, "savez", "step-28.npz"),
    "the Keras file": (keras.Model, "save", "model.keras"),
    "the SavedModel": (export, "saved_model", "saved_model"),
    "the summary": (files, "written_whole", "summary.json"),
}


@pytest.fixture
def disk(tmp_path):
    """A file system of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder]
    if subprocess.run(mount, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("only root may mount a file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(disk, rest):
    """Leave room for that many bytes."""
    with open(disk / "ballast", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(file.tell() - rest)


def named(arguments, ending):
    """Whether what is written is the file of that name."""
    paths = [getattr(a, "name", a) for a in arguments]
    if ending == "saved_model":
        return True
    return any(
        isinstance(path, (str, os.PathLike))
        and str(path).removesuffix(".tmp").endswith(ending)
        for path in paths
    )


# Bytes that have room when each is written; most by hand.
IN_CI = [("metrics.csv", 0), ("a checkpoint", 4096), ("the SavedModel", 4096)]
BY_HAND = [(moment, 0) for moment in MOMENTS if moment != "metrics.csv"]
BY_HAND += [("the Keras file", 4096)]


@pytest.mark.parametrize(
    "moment, rest",
    IN_CI + [pytest.param(*case, marks=pytest.mark.slow) for case in BY_HAND],
)
def test_a_full_disk(moment, rest, whole, disk, monkeypatch, capsys):
    place, name, ending = MOMENTS[moment]
    original, folder = getattr(place, name), disk / "run"

    def when_full(*given, **more):
        if named(given, ending) and not (disk / "ballast").exists():
            fill(disk, rest)
        return original(*given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(place, name, when_full)
        ends(1, folder)
    printed = capsys.readouterr().err
    (line,) = (li for li in printed.splitlines() if li.startswith("train: "))
    assert "cannot write" in line
    assert line.endswith("; the checkpoints are whole, and --resume goes on")
    assert "Traceback" not in printed
    left = {path.name for path in folder.rglob("*")}
    assert not any("tmp" in x or "unfinished" in x for x in left)
    for path in (folder / "checkpoints").glob("*"):
        checkpoint.read(path)
    for path in folder.glob("*.csv"):
        assert path.read_bytes().endswith(b"\n")
    (disk / "ballast").unlink()
    train.main(arguments(folder, "--resume"))
    assert_same_run(whole, folder)
    keras.models.load_model(folder / "model.keras", compile=False)
    tf.saved_model.load(str(folder / "saved_model"))
