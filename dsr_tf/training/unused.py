"""Flags that say how weights move, given to a run that does not use them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from dsr_tf.command_line import written
from dsr_tf.training.experiment import Experiment
from dsr_tf.training.experiment import differing
from dsr_tf.training.settings.moves import MoveSettings


class Asked:
    """An experiment that remembers which of its settings were asked for.

    A recipe gets it where it makes the callback that moves or prunes
    weights. So nobody has to keep a list of what which method reads, and
    what one method reads only sometimes is known too.

    Args:
        experiment: An `Experiment`.

    Attributes:
        names: Names of the attributes that were asked for.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self.names: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.names.add(name)
        return getattr(self._experiment, name)


def unused_moves(settings: Mapping[str, Any], asked: Asked) -> list[str]:
    """What to say of flags of `MoveSettings` that change nothing.

    They are no errors: in a comparison flags hold for every run.

    Args:
        settings: Those of the run as they were given, see
            `Experiment.to_dict`.
        asked: What its method asked for.

    Returns:
        A sentence for each such flag that is not as by default.
    """
    return [
        f"flag --{name}={written(settings[name])}: this run of "
        f"--method={settings['method']} does not use it"
        for name in (field.name for field in dataclasses.fields(MoveSettings))
        if name not in asked.names
        and differing({name: settings[name]}, {}, free=())
    ]
