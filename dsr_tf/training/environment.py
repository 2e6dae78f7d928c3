"""What a run was made with and on, for its summary."""

import os
import pathlib
import platform
import subprocess

import keras
import tensorflow as tf

from dsr_tf.core.version import VERSION

_SECONDS_FOR_GIT = 10


def describe() -> dict:
    """Versions and devices of this process, as plain values for JSON.

    Returns:
        A dict of `version` and `commit` of this package (the commit ends in
        "-dirty" where files have changed since, and is None outside of a
        git checkout), `tensorflow`, `keras`, `python`, `device` (a list of
        `{"type", "name"}`: the accelerators that TensorFlow uses, or the
        processor) and `host_threads` (processors that this process may run
        on, and threads within and between operations, 0 where TensorFlow
        chooses).
    """
    return {
        "version": VERSION,
        "commit": commit(pathlib.Path(__file__).parents[2]),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "python": platform.python_version(),
        "device": _devices(),
        "host_threads": _host_threads(),
    }


def commit(folder: os.PathLike) -> str | None:
    """The commit that is checked out in a folder; None if none is.

    Only the root of a checkout counts: an installed package may lie
    somewhere in the checkout of something else.
    """
    if not os.path.exists(os.path.join(folder, ".git")):
        return None
    command = "git --no-optional-locks describe --always --dirty --abbrev=40"
    # Without the variables that git sets for what it starts, such as hooks:
    # they may name another repository.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_")
    }
    try:
        done = subprocess.run(
            [*command.split(), "--exclude=*"],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS_FOR_GIT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip() or None


def _devices() -> list[dict[str, str]]:
    found = []
    for device in tf.config.list_physical_devices():
        if device.device_type == "CPU":
            continue
        details = {}
        if device.device_type == "GPU":
            details = tf.config.experimental.get_device_details(device)
        name = details.get("device_name", device.name)
        found.append({"type": device.device_type, "name": name})
    return found or [{"type": "CPU", "name": _processor()}]


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() == "model name":
                    return value.strip()
    except OSError:
        pass  # Not on Linux.
    return platform.processor() or platform.machine()


def _host_threads() -> dict[str, int | None]:
    threading = tf.config.threading

    def threads(configured: int, variable: str) -> int:
        # What TensorFlow reads where the program has configured nothing.
        given = os.environ.get(variable, "")
        return configured or (int(given) if given.isdigit() else 0)

    return {
        "processors": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "intra_op": threads(
            threading.get_intra_op_parallelism_threads(),
            "TF_NUM_INTRAOP_THREADS",
        ),
        "inter_op": threads(
            threading.get_inter_op_parallelism_threads(),
            "TF_NUM_INTEROP_THREADS",
        ),
    }
