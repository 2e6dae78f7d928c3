"""How long models take to load and to predict, in comparison."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dsr_tf.export.runnable import RunnableModel

_ROUNDS, _LOADS = 15, 3
CPU_TIME, WALL_TIME = "CPU time", "wall time"
# Runs in a process of its own, in which only the files are cached.
_LOAD = """
import json
import sys
import time
import numpy as np
import tensorflow
from dsr_tf.export import registry
path, shape = sys.argv[1], json.loads(sys.argv[2])
registry.formats()
start = time.perf_counter()
model = registry.load("model", path)
model.predict(np.zeros(shape, "float32"))
print(time.perf_counter() - start)
"""


def kind() -> str:
    """`CPU_TIME` or, where there is a GPU, `WALL_TIME`.

    A busy machine disturbs the CPU time of all threads together least, but
    that says nothing about the work of a GPU.
    """
    return WALL_TIME if tf.config.list_physical_devices("GPU") else CPU_TIME


def latencies(
    models: Sequence[RunnableModel], batch: int, seed: int = 0
) -> list[float]:
    """Seconds of one prediction of each model, of the `kind` above.

    Medians over rounds; in each round every model predicts once, in an
    order drawn at random.

    Args:
        models: List of `RunnableModel` that take inputs of one shape.
        batch: Number of inputs of a prediction.
    """
    generator = np.random.default_rng(seed)
    shape: tuple[Any, ...] = models[0].input_shape[1:]
    inputs = generator.normal(size=(batch, *shape))
    inputs = inputs.astype("float32")
    clock = time.perf_counter if kind() == WALL_TIME else time.process_time
    seconds: list[list[float]] = [[] for _ in models]
    for model in models:
        model.predict(inputs)
    for _ in range(_ROUNDS):
        for index in generator.permutation(len(models)):
            start = clock()
            models[index].predict(inputs)
            seconds[index].append(clock() - start)
    return [statistics.median(times) for times in seconds]


def load_times(models: Sequence[RunnableModel]) -> list[float]:
    """Seconds to load each model and predict once, in new processes."""
    seconds: list[list[float]] = [[] for _ in models]
    for _ in range(_LOADS):
        for model, times in zip(models, seconds):
            shape = json.dumps([1, *model.input_shape[1:]])
            done = subprocess.run(
                [sys.executable, "-c", _LOAD, model.path, shape],
                check=True,
                capture_output=True,
                text=True,
            )
            times.append(float(done.stdout.splitlines()[-1]))
    return [statistics.median(times) for times in seconds]
