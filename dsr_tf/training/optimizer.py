"""The optimizers that `--optimizer` names, and the flags that each takes."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras

from dsr_tf import optimizers
from dsr_tf import recipes
from dsr_tf.command_line import UsageError
from dsr_tf.command_line import written


@dataclasses.dataclass(frozen=True)
class _Kind:
    """One of them.

    Attributes:
        make: Function of an experiment, and its learning rate.
        flags: Names of the flags that only some optimizers take, and this
            one does.
        num_slots: Numbers that it keeps of each parameter.
        has_proximal: Whether it takes steps that make weights exactly 0.
    """

    make: Callable[[Any, Any], keras.optimizers.Optimizer]
    flags: tuple[str, ...]
    num_slots: int
    has_proximal: bool = False


def _sgd(experiment: Any, learning_rate: Any) -> keras.optimizers.Optimizer:
    return optimizers.SGD(
        learning_rate,
        momentum=experiment.momentum,
        nesterov=experiment.nesterov,
        l2=experiment.l2,
        proximal=recipes.get(experiment.method).proximal(experiment),
    )


def _adamw(experiment: Any, learning_rate: Any) -> keras.optimizers.Optimizer:
    return optimizers.AdamW(learning_rate, weight_decay=experiment.weight_decay)


_KINDS = {
    "sgd": _Kind(_sgd, ("momentum", "nesterov", "l2"), 1, has_proximal=True),
    "adamw": _Kind(_adamw, ("weight_decay",), 2),
}
OPTIMIZERS = tuple(_KINDS)


def make(
    experiment: Any,
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
) -> keras.optimizers.Optimizer:
    """The optimizer of an experiment, not built yet."""
    return _KINDS[experiment.optimizer].make(experiment, learning_rate)


def num_slots(experiment: Any) -> int:
    """How many numbers the optimizer keeps of each parameter."""
    return _KINDS[experiment.optimizer].num_slots


def check(experiment: Any) -> None:
    """Refuse flags that do nothing with the optimizer of an experiment.

    Args:
        experiment: An `Experiment`. What it has by default is not given.

    Raises:
        UsageError: if there is such a flag, or the method needs another
            optimizer.
    """
    kind = _KINDS[experiment.optimizer]
    defaults = experiment.__dataclass_fields__
    for name, other in _KINDS.items():
        for flag in other.flags:
            value = getattr(experiment, flag)
            if flag not in kind.flags and value != defaults[flag].default:
                raise UsageError(
                    f"flag --{flag}={written(value)}: needs "
                    f"--optimizer={name}, not {experiment.optimizer}"
                )
    recipe = recipes.get(experiment.method)
    if recipe.proximal(experiment) and not kind.has_proximal:
        raise UsageError(
            f"flag --optimizer={experiment.optimizer}: the penalty of "
            f"{experiment.method} is a step of --optimizer=sgd"
        )
    if experiment.nesterov and not experiment.momentum:
        raise UsageError(
            "flag --nesterov=true needs a momentum above 0: give "
            "--nonesterov with --momentum=0"
        )
