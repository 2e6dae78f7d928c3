"""Runs that are so short that they leave learning rates out."""

from collections.abc import Mapping
from typing import Any

from dsr_tf.core.schedule import Schedule
from dsr_tf.training.experiment import Experiment


def lost_rates(
    settings: Mapping[str, Any], experiment: Experiment
) -> list[str]:
    """What to say where `--schedule_scale` leaves no epoch for some rates.

    Args:
        settings: The flags of the run as they were given.
        experiment: The run, its scale worked in.

    Returns:
        A sentence, or none.
    """
    if settings["schedule_scale"] == 1:
        return []
    schedule = Schedule(settings["learning_rate"])
    given = dict.fromkeys(map(schedule, range(settings["epochs"])))
    left = {experiment.learning_rate(n) for n in range(experiment.epochs)}
    lost = [f"{rate:g}" for rate in given if rate not in left]
    if not lost:
        return []
    return [
        f"flag --schedule_scale={settings['schedule_scale']}: of "
        f"--learning_rate={settings['learning_rate']} no epoch is left for "
        f"{', '.join(lost)}"
    ]
