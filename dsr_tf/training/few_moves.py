"""Runs whose weights move too rarely to find better places."""

import itertools
from collections.abc import Iterator
from typing import Any

from dsr_tf.callbacks import Reallocation
from dsr_tf.core import period as periods

# On the digits of docs/choosing.md, masks that moved five times in a run were
# far behind those that moved twenty times.
_FEW = 10


def few_reallocations(
    callback: Any, period: str, steps_per_epoch: int, epochs: int
) -> list[str]:
    """What to say where a run has few reallocations, or none.

    The default of --period is that of one network and data set: where an
    epoch has few updates, nothing else would tell that it does not fit.

    Args:
        callback: What moves or prunes the weights of the run, or None.
        period: The flag --period, as it was given.
        steps_per_epoch: Number of updates in an epoch.
        epochs: Number of epochs of the run.

    Returns:
        A sentence, or none.
    """
    if not isinstance(callback, Reallocation) or period == periods.AUTO:
        return []
    method = callback.method
    if not method.moves_weights or method.moves_in_step:
        return []
    due = itertools.islice(_due(callback, steps_per_epoch, epochs), _FEW)
    number = len(list(due))
    if number == _FEW:
        return []
    return [
        f"flag --period={period}: weights move {number} "
        f"time{'' if number == 1 else 's'} in the {steps_per_epoch * epochs} "
        "updates of this run; --period=auto moves them five times an epoch"
    ]


def _due(
    callback: Reallocation, steps_per_epoch: int, epochs: int
) -> Iterator[int]:
    """The numbers of updates at which weights are going to move."""
    if callback.stop_epoch is not None:
        epochs = min(epochs, callback.stop_epoch)
    schedule = periods.in_updates(callback.period, steps_per_epoch)
    for epoch in range(epochs):
        period = int(schedule(epoch))
        first = max(1, epoch * steps_per_epoch)
        end = (epoch + 1) * steps_per_epoch
        for step in range(-(-first // period) * period, end, period):
            if not callback.method.is_over(step):
                yield step
