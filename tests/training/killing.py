"""Kills runs at chosen moments, resumes them and compares.

`python -m tests.training.killing FOLDER METHOD=TARGET:NUMBER,... ...` tells
in a line of JSON a kill what came of it. Each run is a process of its own
that really dies of SIGKILL; they are forked from this one, which has
imported TensorFlow but never used it.
"""

import builtins
import csv
import io
import json
import os
import pathlib
import signal
import sys
import threading
import time
import traceback
import zipfile

import tensorflow as tf

from dsr_tf import data
from dsr_tf.commands import train
from dsr_tf.training import checkpoint

# Batches of 100 digits, 14 steps an epoch.
FLAGS = [
    "--dataset=digits",
    "--epochs=2",
    "--num_reallocated=300",
    "--period=5",
    "--checkpoint_every_steps=4",
    "--nojit_compile",
    "--steps_per_execution=1",
    "--temperature=1e-5",
    "--fraction_end_epoch=2",
    "--pruning_hparams=pruning_frequency=5,sparsity_function_end_step=28",
]
# What is being written when a run is killed, and how its paths look.
TARGETS = {
    "metrics": ("metrics.csv",),
    "reallocations": ("reallocations.csv",),
    "summary": ("summary.json",),
    "checkpoint": ("step-",),
    "saved_model": ("saved_model", ".export-"),
    "keras": ("model.keras",),
}


class Events:
    """Counts what is done to files of a run, and kills at one of them.

    Args:
        folder: Folder of the run.
        kill_at: Target and number of the event, or None.
    """

    def __init__(self, folder, kill_at):
        self.folder, self.kill_at = f"{folder}/", kill_at
        self.counts = dict.fromkeys(TARGETS, 0)

    def happens(self, path, before_death=None):
        """Something is about to be done to a file, or has been."""
        path = str(path)
        if not path.startswith(self.folder):
            return
        name = path.removeprefix(self.folder)
        for target, parts in TARGETS.items():
            if any(part in name for part in parts):
                self.counts[target] += 1
                if (target, self.counts[target]) == self.kill_at:
                    if before_death is not None:
                        before_death()
                    os.kill(os.getpid(), signal.SIGKILL)


class Watched:
    """A file that is being written, half a piece before the kill."""

    def __init__(self, file, path, events):
        self._file, self._path, self._events = file, path, events

    def write(self, data):
        def half():
            self._file.write(data[: len(data) // 2])
            self._file.flush()

        self._events.happens(self._path, half)
        return self._file.write(data)

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()


def watch(events):
    """From now on, everything that is done to a file is an event."""
    original_open, original_write = builtins.open, os.write

    def open_watched(path, mode="r", *args, **kwargs):
        file = original_open(path, mode, *args, **kwargs)
        is_ours = isinstance(path, (str, os.PathLike)) and str(path).startswith(
            events.folder
        )
        if not is_ours or mode[0] not in "wax":
            return file
        events.happens(path)
        return Watched(file, path, events)

    def write_watched(descriptor, data):
        def half():
            original_write(descriptor, data[: len(data) // 2])

        events.happens(path_of(descriptor), half)
        return original_write(descriptor, data)

    def path_of(descriptor):
        return os.readlink(f"/proc/self/fd/{descriptor}")

    def watched(function, where):
        def call(*args, **kwargs):
            events.happens(where(*args))
            result = function(*args, **kwargs)
            events.happens(where(*args))
            return result

        return call

    builtins.open = io.open = open_watched
    os.write = write_watched
    os.fsync = watched(os.fsync, path_of)
    for name in ("replace", "rename"):
        function = getattr(os, name)
        setattr(os, name, watched(function, lambda source, target: source))
    tf.saved_model.save = polled(tf.saved_model.save, events)


def polled(save, events):
    """TensorFlow writes outside of Python: each change seen is an event."""

    def look(folder):
        seen = set()
        while True:
            for parent, _, names in os.walk(folder):
                for path in (os.path.join(parent, name) for name in names):
                    try:
                        change = path, os.path.getsize(path)
                    except OSError:
                        continue
                    if change not in seen:
                        seen.add(change)
                        events.happens(path)
            time.sleep(0.0002)

    def call(root, folder, **more):
        threading.Thread(target=look, args=[folder], daemon=True).start()
        return save(root, folder, **more)

    return call


def live(folder, method, kill_at=None):
    """Run or resume in a child process; returns how it ended."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    log, code = open(f"{folder}.txt", "a"), 70
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    try:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
        events = Events(folder, kill_at)
        watch(events)
        arguments = [*FLAGS, f"--method={method}", f"--output_dir={folder}"]
        train.main(["train", *arguments, "--resume"])
        pathlib.Path(f"{folder}.json").write_text(json.dumps(events.counts))
        code = 0
    except SystemExit as error:
        code = error.code
    except Exception:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def content(folder):
    """All that two runs must share, to the bit."""
    newest = checkpoint.read_newest(folder / "checkpoints")
    found = {"step": newest.step, "settings": {}}
    for name, value in zip(newest.names, newest.values):
        # The metrics of an epoch count from where it was resumed.
        if "accuracy" not in name and "loss" not in name:
            found[name] = value.dtype, value.shape, value.tobytes()
    with open(folder / "reallocations.csv") as file:
        found["reallocations"] = file.read()
    with open(folder / "metrics.csv") as file:
        rows = csv.DictReader(file)
        found["epochs"] = [(r["epoch"], r["test_accuracy"]) for r in rows]
    with open(folder / "summary.json") as file:
        summary = json.load(file)
    for name in ("test_accuracy", "num_reallocations", "kernels"):
        found[f"summary {name}"] = summary[name]
    with zipfile.ZipFile(folder / "model.keras") as file:
        found["model.keras"] = len(file.read("model.weights.h5"))
    data = "saved_model/variables/variables.data-00000-of-00001"
    found["saved_model"] = (folder / data).read_bytes()
    found["files"] = sorted(os.listdir(folder))
    return found


def differences(first, second):
    """Names of what two runs do not share."""
    return [
        name
        for name in sorted(set(first) | set(second))
        if first.get(name) != second.get(name)
    ]


def moments(number, total):
    """That many of the events, from the first to the last; one: between."""
    if number == 1:
        return [1 + total // 2]
    return [1 + round(i * (total - 1) / (number - 1)) for i in range(number)]


def new_name(folder, name):
    """A path in a folder where there is nothing yet."""
    return folder / f"{name}-{len(os.listdir(folder))}"


def main(folder, *plans):
    folder = pathlib.Path(folder)
    # All runs need what reads the digits, so it is imported once.
    data.load("digits")
    for plan in plans:
        method, _, targets = plan.partition("=")
        whole = folder / f"{method}-whole"
        assert live(whole, method) == 0, f"see {whole}.txt"
        expected = content(whole)
        counts = json.loads(pathlib.Path(f"{whole}.json").read_text())
        for part in targets.split(","):
            target, _, number = part.partition(":")
            for event in moments(int(number), counts[target]):
                run = new_name(folder, f"{method}-{target}")
                died = live(run, method, (target, event))
                while not died and event > 1:
                    # TensorFlow's files are not seen as often each time.
                    event = event * 3 // 4
                    run = new_name(folder, f"{method}-{target}")
                    died = live(run, method, (target, event))
                ends = [died, live(run, method)]
                found = content(run) if ends[1] == 0 else {}
                result = {
                    "method": method,
                    "target": target,
                    "event": event,
                    "of": counts[target],
                    "ends": ends,
                    "differs": differences(expected, found),
                }
                print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
