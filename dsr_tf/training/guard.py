"""Ends a run in time: when it is asked to, or when it goes wrong."""

import contextlib
import math
import re
import signal
import threading

import keras

from dsr_tf.command_line import Preempted
from dsr_tf.command_line import RunError
from dsr_tf.reallocation.agreement import ReplicasDiffer
from dsr_tf.reallocation.reallocator import BudgetBroken


class Guard(keras.callbacks.Callback):
    """Looks after each execution whether training should go on.

    It must come before the callbacks that save and log.

    Args:
        save: Function of no arguments that saves a checkpoint.
        any_worker: Function that tells whether something is so for any of
            several workers, which must stop together.
    """

    def __init__(self, save, any_worker=bool):
        super().__init__()
        self._save, self._any_worker = save, any_worker
        self._asked_to_stop = False

    def __enter__(self):
        # Python lets the main thread only handle signals.
        self._handles = threading.current_thread() is threading.main_thread()
        if self._handles:
            self._before = signal.signal(signal.SIGTERM, self._ask)
        return self

    def __exit__(self, *error):
        if self._handles:
            signal.signal(signal.SIGTERM, self._before)

    def _ask(self, number, frame):
        self._asked_to_stop = True

    def on_train_batch_end(self, batch, logs=None):
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise RunError(
                f"the loss is {loss:g}; the last checkpoint is from before. "
                "Try a smaller --learning_rate"
            )
        if self._any_worker(self._asked_to_stop):
            self._save()
            raise Preempted(
                "stopped by SIGTERM, with a checkpoint; --resume goes on"
            )


@contextlib.contextmanager
def one_sentence():
    """Turn what ends `fit` into a `RunError`.

    Replicas that differ; a budget that is not met; data that cannot be
    read, end early or hold no such label; memory that does not suffice; a
    worker that is gone: TensorFlow tells the reason among traces of its
    graph.
    """
    import tensorflow as tf

    try:
        yield
    except (ReplicasDiffer, BudgetBroken) as error:
        raise RunError(str(error)) from error
    except tf.errors.OpError as error:
        why, what = reason(error), "a step failed"
        if why.startswith("Collective ops is aborted"):
            what = "another worker has stopped"
        raise RunError(
            f"{what}: {why}; the checkpoints are whole, and --resume goes on"
        ) from error


def reason(error):
    """What a `tf.errors.OpError` says, without traces of its graph."""
    lines = [
        line.strip()
        for line in str(error.message).splitlines()
        if line.strip() and not line.lstrip().startswith(_TRACES)
    ]
    line = lines[0] if lines else type(error).__name__
    return _WHERE_IN_INPUT.sub("", line).rstrip(".")


_WHERE_IN_INPUT = re.compile(
    r"^Error in user-defined function .*? iterator: \S+: "
)
_TRACES = ("Graph execution error", "Detected at node", "<stack", "[[", "File ")
