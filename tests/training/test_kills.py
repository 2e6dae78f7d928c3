"""Runs that are killed again and again end as if they never were."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from dsr_tf.training import checkpoint
from tests.conftest import needs_mnist
from tests.training import killing

# Batches of 100 digits, 14 steps an epoch.
DIGITS = [
    "--dataset=digits",
    "--epochs=4",
    "--num_reallocated=300",
    "--period=5",
    "--checkpoint_every_steps=4",
    "--nojit_compile",
]
FLAGS = pathlib.Path(__file__).parents[2] / "flags" / "lenet_mnist"
# Five epochs of 600 steps; what the schedule of Table 4 has after half of
# its epochs comes after half of these.
MNIST = ["--schedule_scale=0.05", "--period=50", "--checkpoint_every_steps=50"]
MNIST += ["--fraction=0.2", "--pruning_hparams=pruning_frequency=50,"]
MNIST[-1] += "sparsity_function_end_step=30000"
METHODS = [("dsr", 20), ("set", 1), ("rigl", 1), ("snfs", 1), ("deep_r", 1)]
METHODS += [("gradual", 1)]
# Kills at chosen moments, while each of a run's files is being written.
MOMENTS = {
    "dsr": dict.fromkeys(killing.TARGETS, 10),
    **{
        method: {name: 2 for name in killing.TARGETS}
        | {"summary": 1, "keras": 1}
        for method in ("set", "rigl", "snfs", "deep_r", "gradual")
    },
}


def start(folder, flags):
    return subprocess.Popen(
        [sys.executable, "-m", "dsr_tf.train", "--resume"]
        + [*flags, f"--output_dir={folder}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def finish(process):
    _, error = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), error
    return process.returncode == 0


def files(folder):
    """Checkpoints, and those being written."""
    folder = folder / "checkpoints"
    return set(os.listdir(folder)) if folder.exists() else set()


def train_with_kills(folder, flags, most_kills):
    """Kill a run at random moments of its training, and resume it.

    Every other time as soon as a checkpoint is being written, if it can be
    seen to be; at the latest when one more is there, so that there is one to
    write when the next life begins.

    Returns:
        How often it was killed, and how often while it was writing.
    """
    generator, kills, in_writing = random.Random(most_kills), 0, 0
    while True:
        process, before = start(folder, flags), files(folder)
        if kills < most_kills:
            # Starting takes seconds, so wait for the training itself.
            while process.poll() is None and files(folder) <= before:
                time.sleep(0.0005)
            if kills % 2:
                time.sleep(generator.uniform(0, 0.15))
            process.kill()
        if finish(process):
            return kills, in_writing
        kills += 1
        in_writing += any(name.endswith(".tmp") for name in files(folder))


def assert_same_run(first, second):
    """Weights, masks, state and the moves of two runs, to the bit."""
    moves = [(f / "reallocations.csv").read_text() for f in (first, second)]
    assert moves[0] == moves[1] and moves[0].count("\n") > 10
    ages = [(f / "ages.csv").read_text() for f in (first, second)]
    assert ages[0] == ages[1]
    newest = [
        checkpoint.read_newest(f / "checkpoints") for f in (first, second)
    ]
    assert newest[0].step == newest[1].step
    # The metrics of an epoch count from where it was resumed.
    for name, a, b in zip(newest[0].names, *(n.values for n in newest)):
        if "accuracy" not in name and "loss" not in name:
            np.testing.assert_array_equal(a, b, err_msg=name)


@pytest.mark.slow
def test_digits(tmp_path):
    assert finish(start(tmp_path / "whole", DIGITS))
    kills, _ = train_with_kills(tmp_path / "run", DIGITS, 2)
    assert kills == 2
    assert_same_run(tmp_path / "whole", tmp_path / "run")


def kill_at_moments(folder, plan):
    """Kill and resume by plan; each must end as if it never was killed."""
    command = [sys.executable, "-m", "tests.training.killing", str(folder)]
    for method, targets in plan.items():
        parts = ",".join(f"{name}:{n}" for name, n in targets.items())
        command.append(f"{method}={parts}")
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    results = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len(results) == sum(sum(n.values()) for n in plan.values())
    for result in results:
        assert result["ends"] == [-signal.SIGKILL, 0], result
        assert not result["differs"], result


@pytest.mark.slow
def test_killed_while_a_checkpoint_is_written(tmp_path):
    kill_at_moments(tmp_path, {"dsr": {"checkpoint": 1}})


@pytest.mark.slow
@pytest.mark.parametrize("method", MOMENTS)
def test_killed_at_every_kind_of_moment(method, tmp_path):
    kill_at_moments(tmp_path, {method: MOMENTS[method]})


@pytest.mark.slow
@needs_mnist
@pytest.mark.parametrize("method, most_kills", METHODS)
def test_mnist(method, most_kills, tmp_path):
    flags = [f"--flagfile={FLAGS / 'base.flags'}", f"--method={method}"]
    flags += ["--sparsity=0.98", *MNIST]
    assert finish(start(tmp_path / "whole", flags))
    kills, in_writing = train_with_kills(tmp_path / "run", flags, most_kills)
    assert kills == most_kills
    print(f"{method}: killed {kills} times, {in_writing} while writing")
    assert in_writing >= kills // 8
    assert_same_run(tmp_path / "whole", tmp_path / "run")
