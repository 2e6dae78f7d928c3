"""What a command shows first: its own lines, not TensorFlow's notes."""

import json
import os
import subprocess
import sys

import pytest

from dsr_tf.command_line import backend
from dsr_tf.command_line import start_up

I_NOTE = (
    b"I0000 00:00:1795848106.128151   18614 port.cc:153] oneDNN custom "
    b"operations are on.\n"
)
W_NOTE = b"W1128 06:52:01.205274 7 computation_placer.cc:177] there is one\n"
E_NOTE = b"E0000 00:00:1795847781.5   10708 cuda_dnn.cc:52] no cuDNN\n"
F_NOTE = b"F0000 00:00:1795847781.5   10708 cpu_feature_guard.cc:9] no AVX\n"
HEADING = (
    b"WARNING: All log messages before absl::InitializeLog() is called are "
    b"written to STDERR\n"
)
NO_DRIVER = (
    b"E0000 00:00:1795847781.5   10708 cuda_platform.cc:52] failed call to "
    b"cuInit: INTERNAL: CUDA error: Failed call to cuInit: UNKNOWN ERROR "
    b"(303)\n"
)
NO_DEVICE = NO_DRIVER.replace(b"303", b"100")
OTHERS = b"WARNING: mine\nE: I0000 is no note\n\n"


@pytest.mark.parametrize(
    "hidden, line, expected",
    [
        (b"IW", I_NOTE, True),
        (b"IW", W_NOTE, True),
        (b"I", W_NOTE, False),
        (b"IW", E_NOTE, False),
        (b"IWE", E_NOTE, True),
        (b"IWE", F_NOTE, False),
        (b"I", HEADING, True),
        (b"IW", NO_DRIVER, True),
        (b"IW", NO_DEVICE, False),
        *((b"IWE", line + b"\n", False) for line in OTHERS.split(b"\n")),
    ],
)
def test_which_lines_are_notes(hidden, line, expected):
    assert start_up.is_note(line, hidden) == expected


# Without Keras the package does not load; what comes then is held back.
CRASH = """
import os, sys
sys.argv = ["dsr-train"]
sys.modules["keras"] = None
try:
    import dsr_tf
except ImportError:
    os.write(2, {!r})
    os.{}
"""


@pytest.mark.parametrize(
    "level, shown, end",
    [
        (None, E_NOTE + OTHERS + F_NOTE, "abort()"),
        ("3", OTHERS + F_NOTE, "abort()"),
        ("1", W_NOTE + E_NOTE + OTHERS + F_NOTE, "_exit(3)"),
        (
            "0",
            HEADING + I_NOTE + W_NOTE + E_NOTE + OTHERS + F_NOTE + b"no end",
            "write(2, b'no end')",
        ),
        ("2", E_NOTE + OTHERS + F_NOTE + b"no end", "write(2, b'no end')"),
    ],
)
def test_a_crash_while_loading_hides_nothing_else(level, shown, end):
    environment = dict(os.environ)
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    if level is not None:
        environment["TF_CPP_MIN_LOG_LEVEL"] = level
    written = HEADING + I_NOTE + W_NOTE + E_NOTE + OTHERS + F_NOTE
    done = subprocess.run(
        [sys.executable, "-c", CRASH.format(written, end)],
        env=environment,
        capture_output=True,
    )
    assert done.stderr == shown


def test_a_run_in_a_log(tmp_path):
    """Its own line comes first, and one an epoch; nothing is replaced."""
    environment = dict(os.environ, FORCE_COLOR="")
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    flags = ["--epochs=2", "--period=2", "--nojit_compile", "--live"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "dsr_tf.train", *flags),
            f"--output_dir={tmp_path}/run",
        ],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    first, said, *lines = done.stdout.split("\n")
    assert first.startswith("lenet_300_100 on digits, dsr: ")
    assert "flag --live: needs a terminal" in said
    assert "\r" not in done.stdout and "\x1b" not in done.stdout
    assert lines[0] == "Epoch 1/2" and lines[2] == "Epoch 2/2"
    assert "val_accuracy" in lines[1] and "val_accuracy" in lines[3]


@pytest.mark.parametrize("name", ["nothing", "no.thing", "os"])
@pytest.mark.parametrize("told_by", ["KERAS_BACKEND", "keras.json"])
def test_a_backend_that_is_not_there(told_by, name, tmp_path):
    """The variable goes before the file; empty, it is as if not set."""
    config = tmp_path / "keras.json"
    if told_by == "keras.json":
        told, variable, in_file = f"{config}: backend='{name}'", "", name
    else:
        told, variable, in_file = f"KERAS_BACKEND={name}", name, "overruled"
    config.write_text(json.dumps({"backend": in_file}))
    found = subprocess.run(
        [sys.executable, "-m", "dsr_tf.train"],
        env={
            **os.environ,
            "KERAS_HOME": str(tmp_path),
            "KERAS_BACKEND": variable,
        },
        capture_output=True,
        text=True,
    )
    assert found.returncode == 2
    (line,) = found.stderr.splitlines()
    assert line == (
        f"{told}: no such backend of Keras is installed; the commands of "
        "dsr_tf need tensorflow"
    )


@pytest.mark.parametrize(
    "content", [None, "", "no JSON", "{}", '{"backend": "tensorflow"}']
)
def test_files_that_leave_the_backend_as_it_is(content, tmp_path, monkeypatch):
    """A file that is damaged is none to Keras, either."""
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    if content is not None:
        (tmp_path / "keras.json").write_text(content)
    backend.check()


def test_a_file_that_keras_cannot_read(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    config = tmp_path / "keras.json"
    for make, message in (
        (lambda: config.write_text("[]"), "must hold a JSON object"),
        (lambda: (config.unlink(), config.mkdir()), "cannot read it (Is a dir"),
    ):
        make()
        with pytest.raises(SystemExit) as ending:
            backend.check()
        assert ending.value.code == 2
        assert message in capsys.readouterr().err


def test_the_file_of_keras_without_keras_home(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text('{"backend": "nothing"}')
    with pytest.raises(SystemExit):
        backend.check()
    assert f"{tmp_path}/.keras/keras.json: " in capsys.readouterr().err
