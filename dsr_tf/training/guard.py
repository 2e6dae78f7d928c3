"""Ends a run in time: when it is asked to, or when it goes wrong."""

import contextlib
import math
import re
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from dsr_tf.command_line import GOES_ON
from dsr_tf.command_line import RunError
from dsr_tf.reallocation.agreement import ReplicasDiffer
from dsr_tf.reallocation.device import NotFinite
from dsr_tf.reallocation.patterns import PatternBroken
from dsr_tf.reallocation.reallocator import BudgetBroken
from dsr_tf.training.stop import Stopped


class Guard(keras.callbacks.Callback):
    """Looks after each execution whether training should go on.

    It must come before the callbacks that save and log.

    Args:
        save: Function that saves a checkpoint, of the number of the batch
            in the epoch.
        asked: Function that gives the number of the signal that has asked
            any of several workers to stop, 0 if none has: they must stop
            together.
    """

    def __init__(
        self, save: Callable[[int], None], asked: Callable[[], int]
    ) -> None:
        super().__init__()
        self._save, self._asked = save, asked
        self._has_trained = False

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise RunError(
                f"the loss is {loss:g}; no checkpoint was made of it. Try "
                "a smaller --learning_rate"
            )
        # At the end of an epoch come its metrics first, then a checkpoint.
        if batch + 1 < self.params["steps"] and (number := self._asked()):
            self._save(batch)
            raise Stopped(number, ", with a checkpoint; --resume goes on")

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if self._has_trained:
            self.on_train_end()
        self._has_trained = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if number := self._asked():
            raise Stopped(number, ", with a checkpoint; --resume goes on")


@contextlib.contextmanager
def one_sentence(
    what: str = "a step failed", afterwards: str = GOES_ON
) -> Iterator[None]:
    """Turn what ends a part of a run into a `RunError`.

    Replicas that differ; a budget that is not met; data that cannot be
    read, end early or hold no such label; memory that does not suffice; a
    worker that is gone; a full disk: TensorFlow tells the reason among
    traces of its graph.

    Args:
        what: What has failed then.
        afterwards: What the user can do about it.
    """
    try:
        yield
    except (ReplicasDiffer, BudgetBroken, PatternBroken, NotFinite) as error:
        raise RunError(str(error)) from error
    except tf.errors.OpError as error:
        why = reason(error)
        if why.startswith("Collective ops is aborted"):
            what = "another worker has stopped"
        raise RunError(f"{what}: {why}{afterwards}") from error


def reason(error: Any) -> str:
    """What a `tf.errors.OpError` says, without traces of its graph."""
    lines = [
        line.strip()
        for line in str(error.message).splitlines()
        if line.strip() and not line.lstrip().startswith(_TRACES)
    ]
    if len(lines) > 1 and _SEVERAL.match(lines[0]):
        # Parts of one failure, which were found at the same time.
        lines = [_NUMBER.sub("", lines[1])]
    line = lines[0] if lines else type(error).__name__
    return _WHERE_IN_INPUT.sub("", line).rstrip(".")


_SEVERAL = re.compile(r"^\d+ root error\(s\) found\.$")
_NUMBER = re.compile(r"^\(\d+\) [A-Z_]+:\s*")
_WHERE_IN_INPUT = re.compile(
    r"^Error in user-defined function .*? iterator: \S+: "
)
_TRACES = ("Graph execution error", "Detected at node", "<stack", "[[", "File ")
