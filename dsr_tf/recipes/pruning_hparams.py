"""What recipes share that read `--pruning_hparams`."""

import contextlib
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from dsr_tf.command_line import UsageError
from dsr_tf.command_line.flag_kinds import LARGEST_INTEGER
from dsr_tf.core.checks import is_integer


@contextlib.contextmanager
def naming_them(experiment: Any) -> Iterator[None]:
    """Turn a ValueError of what is read inside into one that names the flag.

    Raises:
        UsageError: in its place.
    """
    try:
        yield
    except ValueError as error:
        raise UsageError(
            f"flag --pruning_hparams={experiment.pruning_hparams}: {error}"
        ) from error


def check_integers(values: Mapping[str, Any]) -> None:
    """Refuse integers that no counter holds.

    Raises:
        ValueError: if there is one.
    """
    for name, value in values.items():
        if is_integer(value) and value > LARGEST_INTEGER:
            raise ValueError(
                f"`{name}` must be at most {LARGEST_INTEGER}. "
                f"Received: {name}={value}"
            )


def scaled_steps(
    values: Mapping[str, Any], least: Mapping[str, int], scale: float
) -> dict[str, int]:
    """Numbers of updates, by `--schedule_scale`.

    Args:
        values: Values by name; those of None stay out.
        least: Names of those that are numbers of updates, and the least of
            each.
        scale: Multiplies them.
    """
    return {
        name: max(smallest, round(values[name] * scale))
        for name, smallest in least.items()
        if values.get(name) is not None
    }
