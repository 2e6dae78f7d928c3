"""Folders that a run cannot have: told before anything is done there."""

import errno
import fcntl
import os
import shutil
import subprocess
import threading

import pytest

from dsr_tf.commands import train
from dsr_tf.training import build
from tests.training.test_bad_days import arguments
from tests.training.test_bad_days import ends

SHORT = ["--epochs=1", "--checkpoint_every_steps=0"]


def listing(folder):
    """Everything in a folder, with when it was written."""
    return {p: p.lstat().st_mtime_ns for p in sorted(folder.rglob("*"))}


def refused(folder, capsys, *more):
    """Refused in one sentence, which is returned."""
    ends(2, folder, *SHORT, *more)
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("train: flag --")
    return line


@pytest.fixture
def no_data(monkeypatch):
    """Whatever is refused is refused before data are loaded."""

    def load_data(*arguments):
        raise AssertionError("data were loaded")

    monkeypatch.setattr(build, "load_data", load_data)


@pytest.mark.parametrize(
    "name, reason",
    [
        ("file/run", "/file is not a folder"),
        ("file", "is not a folder"),
        ("dangling", "is not a folder"),
        ("dangling/run", "is not a folder"),
        ("loop/run", "symbolic links"),
        ("n" * 256, "File name too long"),
        ("/".join(["n" * 250] * 16), "File name too long"),
        ("nul\0", "zero byte"),
        ("a[/b]", "pattern"),
        ("run*", "pattern"),
        ("run?", "pattern"),
        ("back\\slash", "pattern"),
        ("gs://bucket", "other file systems"),
        ("not\udcff", "UTF-8"),
    ],
)
def test_where_no_folder_can_be(name, reason, tmp_path, capsys, no_data):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    before = listing(tmp_path)
    for resume in ("--noresume", "--resume"):
        assert reason in refused(f"{tmp_path}/{name}", capsys, resume)
    assert listing(tmp_path) == before


def test_a_parent_that_is_not_writable(capsys, no_data):
    """For root neither, as /proc is."""
    line = refused("/proc/new/run", capsys)
    assert "flag --output_dir=/proc/new/run: cannot be used" in line


def test_a_read_only_folder(tmp_path, capsys, no_data):
    """Noticed before the first epoch, though it is there and empty."""
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
    (tmp_path / "old" / "metrics.csv").write_text("epoch\n")
    read_only = ["mount", "-t", "tmpfs", "-o", "ro", "none", tmp_path / "new"]
    if subprocess.run(read_only, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("only root may mount a file system")
    try:
        assert "(Read-only file system)" in refused(tmp_path / "new", capsys)
    finally:
        subprocess.run(["umount", tmp_path / "new"], check=True)


def test_checkpoints_that_lead_nowhere(tmp_path, capsys, no_data):
    (tmp_path / "checkpoints").symlink_to("nowhere")
    before = listing(tmp_path)
    assert "cannot be used" in refused(tmp_path, capsys, "--resume")
    assert listing(tmp_path) == before


def test_a_refusal_leaves_no_folder(tmp_path, capsys):
    folder = tmp_path / "new" / "deeper" / "run"
    assert "--batch_size" in refused(folder, capsys, "--batch_size=5000")
    assert os.listdir(tmp_path) == []
    folder.mkdir(parents=True)
    assert "--batch_size" in refused(folder, capsys, "--batch_size=5000")
    assert os.listdir(folder) == []


@pytest.mark.parametrize(
    "code, reason",
    [
        (errno.EWOULDBLOCK, "another run is writing to it"),
        (errno.ENOLCK, "cannot be used (No locks available)"),
        (errno.ENOTSUP, "cannot be used (Operation not supported)"),
    ],
)
def test_only_a_lock_that_is_held_is_another_run(
    code, reason, tmp_path, capsys, monkeypatch, no_data
):
    def flock(*arguments):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    line = refused(tmp_path / "run", capsys)
    assert reason in line
    assert ("another run" in line) == (code == errno.EWOULDBLOCK)
    assert os.listdir(tmp_path) == []


def test_two_runs_on_a_new_folder(tmp_path, capsys, monkeypatch):
    """The one that loads slowly has the folder; the other is refused."""
    folder, load_data, refusals = tmp_path / "run", build.load_data, []

    def load_slowly(*given):
        monkeypatch.setattr(build, "load_data", load_data)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        return load_data(*given)

    def other():
        refusals.append(refused(folder, capsys))

    monkeypatch.setattr(build, "load_data", load_slowly)
    train.main(arguments(folder, *SHORT))
    assert "another run is writing to it" in refusals[0]
    assert (folder / "summary.json").exists()


def test_a_folder_that_is_filled_before_the_lock(
    tmp_path, capsys, monkeypatch, no_data
):
    """By a run that begins and ends in that moment."""
    flock, folder = fcntl.flock, tmp_path / "run"

    def lock_late(*given):
        (folder / "summary.json").write_text("{}")
        flock(*given)

    monkeypatch.setattr(fcntl, "flock", lock_late)
    assert "must be a new or an empty folder" in refused(folder, capsys)
    assert (folder / "summary.json").read_text() == "{}"


def test_a_folder_that_goes_before_the_lock(tmp_path, capsys, monkeypatch):
    """Of another run that was refused and took it away again."""
    flock, folder, calls = fcntl.flock, tmp_path / "run", []

    def lock_late(*given):
        if not calls:
            folder.rmdir()
        calls.append(given)
        flock(*given)

    monkeypatch.setattr(fcntl, "flock", lock_late)
    train.main(arguments(folder, *SHORT))
    # Once before, and again; the export has a lock of its own.
    assert len(calls) == 3
    assert (folder / "summary.json").exists()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "finished"
    train.main(arguments(folder, "--epochs=2"))
    shutil.rmtree(folder / "checkpoints")
    return folder


@pytest.mark.parametrize(
    "removed, found",
    [
        ([], "summary.json of a finished run"),
        (["summary.json"], "metrics.csv of 2 epochs"),
    ],
)
def test_resuming_where_the_checkpoints_are_gone(
    removed, found, finished, tmp_path, capsys, no_data
):
    """Nothing is started anew over it, by whatever method and seed."""
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    for name in removed:
        (folder / name).unlink()
    before = listing(folder)
    for more in ([], ["--method=set", "--seed=9"]):
        line = refused(folder, capsys, "--resume", *more)
        assert f"holds {found}, but no checkpoint" in line
    assert listing(folder) == before


def test_resuming_what_was_killed_before_its_first_checkpoint(tmp_path):
    """It starts anew, and nothing that was half written stays."""
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / ".unfinished" / "saved_model").mkdir(parents=True)
    for name in (
        "metrics.csv",
        "metrics.csv.tmp",
        "reallocations.csv",
        "summary.json.tmp",
        "checkpoints/step-4.npz.tmp",
        "mine.txt",
    ):
        (folder / name).write_text("epoch,x\n0,")
    train.main(arguments(folder, *SHORT, "--resume"))
    assert sorted(os.listdir(folder)) == [
        "ages.csv",
        "checkpoints",
        "masks.json",
        "metrics.csv",
        "mine.txt",
        "model.keras",
        "reallocations.csv",
        "saved_model",
        "summary.json",
    ]
    assert os.listdir(folder / "checkpoints") == ["step-14.npz"]
    assert (folder / "metrics.csv").read_text().count("\n") == 2


def test_markup_in_names_is_printed_as_it_is(tmp_path, capsys):
    """The data set's name may look like rich's markup."""
    line = refused(tmp_path / "run", capsys, "--dataset=a[/b][bold]c")
    assert "a[/b][bold]c" in line


@pytest.mark.parametrize("name", ["saved_model", "model.keras"])
def test_resuming_in_a_folder_that_holds_a_model_only(
    name, tmp_path, capsys, no_data
):
    (tmp_path / "run" / "saved_model").mkdir(parents=True)
    if name == "model.keras":
        (tmp_path / "run" / "saved_model").rmdir()
        (tmp_path / "run" / name).write_text("mine")
    before = listing(tmp_path)
    assert name in refused(tmp_path / "run", capsys, "--resume")
    assert listing(tmp_path) == before
