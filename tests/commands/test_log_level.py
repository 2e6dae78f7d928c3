"""Commands keep TensorFlow quiet; other packages log as they like."""

import os
import subprocess
import sys

import pytest

# Without Keras the package does not load, but does what it does at first.
FIRST = """
import os, sys
sys.modules["keras"] = None
try:
    import dsr_tf
except ImportError:
    print(os.environ.get("TF_CPP_MIN_LOG_LEVEL"))
"""

# What says the same of a script, whose name is in sys.argv.
SCRIPT = "import sys; sys.argv = [{!r}, '--help']\n" + FIRST


def log_level(arguments, folder):
    found = f"{folder}:{os.environ['PYTHONPATH']}"
    environment = {**os.environ, "PYTHONPATH": found}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


@pytest.mark.parametrize("package", ["other", "dsr_tf_tools"])
def test_other_packages_keep_the_log_level(package, tmp_path):
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text(FIRST)
    (tmp_path / package / "tool.py").write_text("")
    assert log_level(["-m", f"{package}.tool"], tmp_path) == "None"


@pytest.mark.parametrize(
    "options",
    [
        ["-m", "dsr_tf.train"],
        ["-mdsr_tf.train"],
        ["-X", "dev", "-m", "dsr_tf.export"],
    ],
)
def test_commands_of_this_package_are_quiet(options, tmp_path):
    code = (
        "import sys\n"
        f"sys.orig_argv = {[sys.executable, *options, '--help']}\n"
        "sys.argv = ['-m', '--help']\n"
    )
    assert log_level(["-c", code + FIRST], tmp_path) == "2"


@pytest.mark.parametrize(
    "script, level",
    [
        ("/usr/bin/dsr-train", "2"),
        ("dsr-export.exe", "2"),
        ("dsr-train.py", "None"),
        ("train", "None"),
        ("", "None"),
    ],
)
def test_scripts_of_this_package_are_quiet(script, level, tmp_path):
    assert log_level(["-c", SCRIPT.format(script)], tmp_path) == level
