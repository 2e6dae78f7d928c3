"""Runs the runs of a comparison, each in a process of its own."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from collections.abc import Iterable
from types import FrameType
from typing import Self

from dsr_tf.command_line import signal_name
from dsr_tf.comparison import run_log
from dsr_tf.comparison.plan import PlannedRun

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Between two looks at what is running.
_PAUSE = 0.1
# For a run to end its step and save, when it is asked to stop.
_PATIENCE = 60.0

# Receives a run that has ended, its summary, and its seconds.
Report = Callable[[PlannedRun, dict | None, float | None], None]


class Stopped(Exception):
    """A signal has come; all runs have been stopped.

    Attributes:
        number: The number of the signal.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"stopped by {signal_name(number)}")


def execute(
    runs: Iterable[PlannedRun],
    log_folder: str,
    num_parallel: int,
    report: Report,
) -> tuple[list[PlannedRun], list[PlannedRun]]:
    """Run what is not finished yet; later runs wait for those they need.

    Args:
        runs: List of `PlannedRun`, each after those that it needs.
        log_folder: Folder for what the runs print.
        num_parallel: Runs at a time. More than one share the cores.
        report: Function that receives each `PlannedRun` as it ends, with
            its summary or None if it failed, and its seconds or None if it
            was not started.

    Returns:
        Two lists of runs: those that failed, and those that were not
        started because one that they need had failed.

    Raises:
        Stopped: on SIGINT, SIGTERM or SIGHUP, when no run is left.
    """
    os.makedirs(log_folder, exist_ok=True)
    environment = _environment(num_parallel)
    waiting, finished = list(runs), set()
    failed: list[PlannedRun] = []
    skipped: list[PlannedRun] = []

    def end(
        planned: PlannedRun, summary: dict | None, seconds: float | None
    ) -> None:
        if summary is not None:
            finished.add(planned.folder)
        else:
            (skipped if seconds is None else failed).append(planned)
        report(planned, summary, seconds)

    with _Children() as children:
        while waiting or children.running:
            for planned in list(waiting):
                needs = set(planned.needs)
                lost = {run.folder for run in (*failed, *skipped)}
                if needs & lost:
                    waiting.remove(planned)
                    end(planned, None, None)
                elif needs <= finished and children.number < num_parallel:
                    waiting.remove(planned)
                    summary = planned.summary()
                    if summary is not None:
                        end(planned, summary, 0.0)
                    else:
                        children.start(planned, log_folder, environment)
            for planned, seconds in children.ended():
                end(planned, planned.summary(), seconds)
    return failed, skipped


def _environment(num_parallel: int) -> dict[str, str]:
    environment = dict(os.environ)
    if num_parallel > 1:
        threads = str(max(1, (os.cpu_count() or 1) // num_parallel))
        environment.setdefault("TF_NUM_INTRAOP_THREADS", threads)
        environment.setdefault("TF_NUM_INTEROP_THREADS", threads)
    return environment


class _Children:
    """The processes of the runs that are under way, which end with it."""

    def __init__(self) -> None:
        self.running: list[tuple[PlannedRun, subprocess.Popen, float]] = []
        self._asked: int | None = None

    @property
    def number(self) -> int:
        return len(self.running)

    def __enter__(self) -> Self:
        self._before = {}
        # Python lets the main thread only handle signals.
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                # Shells ignore Ctrl-C for what they start in the background;
                # there too it stops runs. `nohup` means what it says.
                is_ignored = signal.getsignal(number) is signal.SIG_IGN
                if number != signal.SIGHUP or not is_ignored:
                    self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *error: object) -> None:
        self._end()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def start(
        self, planned: PlannedRun, log_folder: str, environment: dict[str, str]
    ) -> None:
        with run_log.opened(log_folder, planned) as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "dsr_tf.train", *planned.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                # Ctrl-C is for this process, which ends the others.
                process_group=0,
            )
        self.running.append((planned, child, time.perf_counter()))

    def ended(self) -> list[tuple[PlannedRun, float]]:
        """Runs that have ended, with their seconds; waits a little."""
        if self._asked is None and self.running:
            time.sleep(_PAUSE)
        if self._asked is not None:
            raise Stopped(self._asked)
        ended = [one for one in self.running if one[1].poll() is not None]
        self.running = [one for one in self.running if one not in ended]
        now = time.perf_counter()
        return [(planned, now - start) for planned, _, start in ended]

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked is not None:  # Asked twice: do not wait.
            for _, child, _ in self.running:
                child.kill()
        self._asked = number

    def _end(self) -> None:
        """End all: asked to save first, and killed if they do not."""
        for _, child, _ in self.running:
            child.terminate()
        latest = time.monotonic() + _PATIENCE
        for _, child, _ in self.running:
            try:
                child.wait(max(0, latest - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
