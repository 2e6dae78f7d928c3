"""Two workers, a process each, that train one model over the network."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.training.test_distributed import FLAGS
from tests.training.test_distributed import STORED
from tests.training.test_distributed import rows

# 42 steps with a reallocation after every second, and checkpoints.
FLAGS = [*FLAGS, "--strategy=multi_worker", "--period=2"]
FLAGS += ["--checkpoint_every_steps=4", "--steps_per_execution=1"]
# Every variable of this worker, as one number.
WORKER = """
import sys, zlib
from tests.training.test_distributed import prepared, variables
run = prepared(*sys.argv[1:])
print("start", run.start, flush=True)
run.train()
values = [variable.numpy().tobytes() for variable in variables(run)]
print("checksum", zlib.crc32(b"".join(values)))
"""
COMMAND = """
import sys
from dsr_tf.commands import train
train.main(["train", *sys.argv[1:]])
"""


def free_ports(number):
    sockets = [socket.socket() for _ in range(number)]
    for each in sockets:
        each.bind(("localhost", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def start(program, arguments):
    """Both workers, as processes."""
    cluster = {"worker": [f"localhost:{port}" for port in free_ports(2)]}
    processes = []
    for index in range(2):
        task = {"type": "worker", "index": index}
        config = json.dumps({"cluster": cluster, "task": task})
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", program, *arguments],
                env={**os.environ, "TF_CONFIG": config},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return processes


def end(processes):
    """Exit codes, and what they printed."""
    outputs = [process.communicate(timeout=240) for process in processes]
    return [process.returncode for process in processes], outputs


def wait_for(path, processes):
    while not path.exists():
        assert all(process.poll() is None for process in processes)
        time.sleep(0.01)


def train(folder, *more):
    """Run both to the end; returns what they print, by name."""
    codes, outputs = end(start(WORKER, [str(folder), *FLAGS, *more]))
    assert codes == [0, 0], outputs
    words = [
        dict(line.split(" ", 1) for line in out.splitlines() if " " in line)
        for out, _ in outputs
    ]
    return [{name: w[name] for name in ("start", "checksum")} for w in words]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workers") / "whole"
    return folder, train(folder)


def test_workers_agree(tmp_path):
    folder = tmp_path / "run"
    chief, other = train(folder, "--epochs=1")
    assert chief == other
    moved = rows(folder)
    assert len(moved) == 6
    assert {row["num_active"] for row in moved} == {"5020"}
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["test_accuracy"] > 0.8
    assert len(rows(folder, "metrics")) == 1


@pytest.mark.slow
def test_workers_find_the_same_gradients(tmp_path):
    """Of weights that are not stored, in several steps a call."""
    more = [*STORED, "--method=rigl", "--period=7", "--steps_per_execution=7"]
    chief, other = train(tmp_path / "run", *more)
    assert chief == other
    moved = rows(tmp_path / "run")
    assert len(moved) == 4  # None in the last quarter.
    assert all(int(row["num_grown"]) > 0 for row in moved)


@pytest.mark.slow
def test_one_is_killed_and_both_go_on(whole, tmp_path):
    folder = tmp_path / "run"
    arguments = [*FLAGS, f"--output_dir={folder}"]
    processes = start(COMMAND, arguments)
    wait_for(folder / "checkpoints" / "step-16.npz", processes)
    processes[1].kill()
    codes, outputs = end(processes)
    assert codes == [1, -signal.SIGKILL]
    (sentence,) = (
        line for line in outputs[0][1].splitlines() if line.startswith("train:")
    )
    assert sentence.startswith("train: another worker has stopped: ")
    assert sentence.endswith(
        "; the checkpoints are whole, and --resume goes on"
    )
    (chief, other) = train(folder, "--resume")
    assert chief == other
    assert int(chief["start"]) >= 16
    assert chief["checksum"] == whole[1][0]["checksum"]
    assert rows(folder) == rows(whole[0])


@pytest.mark.slow
def test_sigterm_to_one_stops_both(tmp_path):
    folder = tmp_path / "run"
    processes = start(COMMAND, [*FLAGS, f"--output_dir={folder}"])
    wait_for(folder / "checkpoints" / "step-4.npz", processes)
    processes[1].send_signal(signal.SIGTERM)
    codes, outputs = end(processes)
    assert codes == [143, 143], outputs
    for _, error in outputs:
        assert "train: stopped by SIGTERM, with a checkpoint" in error


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", ["dense", "set", "rigl", "snfs", "deep_r", "gradual"]
)
def test_every_method(method, tmp_path):
    flags = [f"--method={method}", "--temperature=1e-5", "--jit_compile"]
    flags += ["--pruning_hparams=pruning_frequency=2", "--fraction=0.2"]
    chief, other = train(tmp_path / "run", *flags)
    assert chief == other
    if method != "dense":
        assert len(rows(tmp_path / "run")) >= 15


@pytest.mark.slow
def test_workers_narrow_alike(tmp_path):
    """Each makes the network; from then on it is that of the checkpoint."""
    one = [sys.executable, "-c", COMMAND, *FLAGS, "--method=dense"]
    one += ["--strategy=default", f"--output_dir={tmp_path}/dense"]
    subprocess.run(one, check=True, stdout=subprocess.DEVNULL)
    flags = ["--method=l1_filters", "--keep_share=0.3"]
    flags.append(f"--initial_checkpoint={tmp_path}/dense")
    chief, other = train(tmp_path / "run", *flags)
    assert chief == other
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["narrowed"]["units"] == {"fc1": [90, 300], "fc2": [30, 100]}
    assert summary["test_accuracy"] > 0.9
    chief, other = train(tmp_path / "run", *flags, "--epochs=4", "--resume")
    assert chief == other and chief["start"] == "42"
