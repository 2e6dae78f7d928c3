"""What a summary says of what a run was made with."""

import json
import platform
import subprocess

import keras
import pytest
import tensorflow as tf

import dsr_tf
from dsr_tf.training import environment
from dsr_tf.training import run_summary


def test_versions_and_devices():
    found = environment.describe()
    assert json.loads(json.dumps(found)) == found
    assert found["version"] == dsr_tf.__version__
    assert found["tensorflow"] == tf.__version__
    assert found["keras"] == keras.__version__
    assert found["python"] == platform.python_version()
    assert found["device"]
    for device in found["device"]:
        assert device["type"] and device["name"]
    assert found["host_threads"]["processors"] >= 1


def test_threads_that_the_environment_sets(monkeypatch):
    """As `compare` does for runs side by side."""
    monkeypatch.setenv("TF_NUM_INTEROP_THREADS", "3")
    assert environment.describe()["host_threads"]["inter_op"] == 3


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    return subprocess.run(
        ["git", *identity, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    git(tmp_path, "init", "--quiet")
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    git(tmp_path, "tag", "-a", "v1", "-m", "a tag")
    return tmp_path


def test_the_commit_of_a_checkout(checkout, monkeypatch):
    head = git(checkout, "rev-parse", "HEAD")
    assert environment.commit(checkout) == head
    # As a hook of another repository has it.
    monkeypatch.setenv("GIT_DIR", "/nothing")
    assert environment.commit(checkout) == head
    (checkout / "file").write_text("2")
    assert environment.commit(checkout) == f"{head}-dirty"


def test_no_commit_where_there_is_none(checkout, monkeypatch):
    (checkout / "site-packages").mkdir()
    assert environment.commit(checkout / "site-packages") is None
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "")  # No git.
        assert environment.commit(checkout) is None
    (checkout / ".git" / "HEAD").unlink()
    assert environment.commit(checkout) is None


def test_a_summary_of_before_and_a_damaged_one(tmp_path):
    def read(**content):
        (tmp_path / "summary.json").write_text(json.dumps(content))
        return run_summary.read(tmp_path)

    assert read(method="dsr") == {"method": "dsr"}
    now = environment.describe()
    assert read(**now) == now
    assert read(commit=None) == {"commit": None}
    for name, value in (
        ("version", 1),
        ("commit", []),
        ("keras", None),
        ("device", "CPU"),
        ("device", [{"type": "CPU"}]),
        ("host_threads", 2),
        ("host_threads", {"intra_op": -1}),
    ):
        with pytest.raises(run_summary.Damaged, match=f"it holds {name}="):
            read(**{name: value})
