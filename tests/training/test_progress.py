"""What a terminal shows while a run trains."""

import io
import re

import keras
import pytest
from rich.console import Console

import dsr_tf
from dsr_tf.command_line import terminal
from dsr_tf.reallocation.record import Record
from dsr_tf.training.progress import Progress


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def shown():
    """A function that makes a `Progress`, its clock, and what it shows."""

    def make(density=0.5, start=0, **arguments):
        model = keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(5, name="fc")]
        )
        if density < 1:
            model = dsr_tf.sparsify(model, 1 - density, seed=0)
        console = Console(file=io.StringIO(), force_terminal=True, width=200)
        clock = Clock()
        progress = Progress(
            console, model, 3, 10, start, clock=clock, **arguments
        )
        return progress, clock, console.file

    return make


def last_line(file):
    lines = re.sub(r"\x1b\[\?*\d+[A-Za-z]", "", file.getvalue()).split("\r")
    return [line for line in lines if "epoch" in line][-1].strip()


def record(pruned, grown, threshold=0.0125):
    return Record(
        5,
        threshold,
        {"fc/kernel": pruned},
        {"fc/kernel": grown},
        {"fc/kernel": 10 + grown - pruned},
        0,
    )


def test_the_line(shown):
    progress, clock, file = shown()
    with progress:
        assert last_line(file) == (
            "epoch 1/3  step 0/10  compiling  density 0.5000"
        )
        progress.on_epoch_begin(0)
        clock.now = 60.0
        progress.on_train_batch_end(1, {"accuracy": 0.25})
        # It compiled for a minute, which says nothing of the time left.
        assert last_line(file) == (
            "epoch 1/3  step 2/10  accuracy 25.00%  density 0.5000"
        )
        progress.record(record(3, 3))
        clock.now = 66.0
        progress.on_train_batch_end(3, {"accuracy": 0.5})
        # 3 seconds a step, 26 steps.
        assert last_line(file) == (
            "epoch 1/3  step 4/10  1:18 left  accuracy 50.00%  density 0.5000"
            "  threshold 0.0125  moved 3"
        )


def test_each_epoch_leaves_a_line(shown):
    progress, clock, file = shown(start=17)
    with progress:
        progress.on_epoch_begin(1)
        # The rest of an epoch that a resumed run goes on with.
        progress.on_train_batch_end(2)
        progress.record(record(4, 0, None))
        progress.on_epoch_end(1, {"accuracy": 0.5, "val_accuracy": 0.75})
        assert "step 0/10  accuracy 50.00%  test 75.00%" in last_line(file)
        progress.on_epoch_begin(2)
        clock.now = 1.0
        progress.on_train_batch_end(9)
        assert last_line(file).startswith("epoch 3/3  step 10/10  0:00 left")
    assert (
        "epoch 2/3  accuracy 50.00%  test 75.00%  density 0.3000  pruned 4"
        in file.getvalue()
    )
    # The cursor is there, and the line is not.
    assert file.getvalue().endswith("\x1b[1A\x1b[2K")
    assert file.getvalue().rindex("\x1b[?25h") > file.getvalue().rindex("25l")


def test_a_dense_network_has_no_density(shown):
    progress, _, file = shown(density=1)
    with progress:
        assert last_line(file) == "epoch 1/3  step 0/10  compiling"


def test_metrics_are_not_read_at_each_step(shown):
    progress, clock, file = shown()

    class Waits(float):
        def __float__(self):
            reads.append(clock.now)
            return 0.5

    reads = []
    with progress:
        progress.on_epoch_begin(0)
        for step in range(10):
            clock.now += 0.03
            progress.on_train_batch_end(step, {"accuracy": Waits()})
    # No more often than each tenth of a second.
    assert reads == pytest.approx([0.12, 0.24])


def test_the_kernels(shown):
    progress, clock, file = shown(shows_kernels=True)
    with progress:
        progress.on_epoch_begin(0)
        progress.record(record(1, 3))
        clock.now = 1.0
        progress.on_train_batch_end(0)
    rows = [line for line in file.getvalue().split("\n") if "fc/" in line]
    last = rows[-1].replace("\x1b[2K", "").split()
    assert last == ["fc/kernel", "20", "12", "0.6000", "+2", "-1", "+3"]


def test_logs_are_no_terminal(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    console = terminal.console()
    assert console.is_terminal
    assert not terminal.changes_in_place(console)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert terminal.changes_in_place(console)
    monkeypatch.setenv("TERM", "dumb")
    assert not terminal.changes_in_place(terminal.console())
