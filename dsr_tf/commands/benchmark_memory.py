"""Memory that training takes, measured in a process of its own."""

import dataclasses
import json
import os
import resource
import subprocess
import sys

import keras

from dsr_tf.command_line import RunError
from dsr_tf.commands.benchmark_network import Arm
from dsr_tf.commands.benchmark_network import Setting

_STEPS = 5
_MEASURE = "from dsr_tf.commands import benchmark_memory as b; b.measure()"


def of(arm: Arm) -> float:
    """Bytes that training a network takes, above one of a few weights.

    They are what is resident in the process after some steps or, of a
    network that is trained on a GPU, the most that it had there.

    Raises:
        RunError: if the process failed.
    """
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE],
        input=json.dumps(dataclasses.asdict(arm)),
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        raise RunError(f"{arm.name}: no memory was measured ({''.join(last)})")
    return float(done.stdout.splitlines()[-1])


def measure() -> None:
    """Print the bytes of the network that standard input describes."""
    described = json.load(sys.stdin)
    setting = Setting(**described.pop("setting"))
    arm = Arm(setting=setting, **described)
    # What any training takes.
    small = Arm("small", dataclasses.replace(setting, widths=[8, 8, 2], size=1))
    small.fit(small.model(), _STEPS)
    before = _taken()
    model = arm.model()
    arm.fit(model, _STEPS)
    print(_taken() - before)
    del model


def _taken() -> float:
    """Bytes of a GPU at most so far, where there is one; else those of
    this process."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            return tf.config.experimental.get_memory_info("GPU:0")["peak"]
    if keras.backend.backend() == "jax":
        import jax

        if jax.default_backend() == "gpu":
            return jax.devices()[0].memory_stats()["peak_bytes_in_use"]
    return _resident()


def _resident() -> float:
    """Bytes of this process in memory; at most so far where that is all
    that the system says."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
