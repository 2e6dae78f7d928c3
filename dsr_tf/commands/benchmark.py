"""What sparse training costs: `python -m dsr_tf.benchmark`.

Trains the same network dense, with fixed masks, and by each method, a round
of each in turn, on the same input pipeline. Prints the median seconds of an
epoch, its median ratio to the dense and to the static network of the same
round (which a busy machine disturbs least; a second dense network shows how
far a ratio of equals strays from 1), and how long a reallocation takes.
NAME_again is any network a second time, and NAME_saving (as `dsr_saving`) the
same with a checkpoint at the end of each round.
The last column is what reallocation adds over all epochs of the schedule: its
time as often as --period says, over the time of the static network. While
measuring, the period is --measured_period, or the first of --period.

Each round holds a reallocation at least, and what is compiled is compiled
before the first.

--output=FILE.json writes the same figures, not rounded, to a file.

What layers cost that store active weights only:
`python -m dsr_tf.benchmark --storage=masked,blocks --help`.
"""

import dataclasses
import math
import statistics
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from absl import flags
from rich import box
from rich.table import Table

from dsr_tf import command_line
from dsr_tf import recipes
from dsr_tf.command_line import UsageError
from dsr_tf.command_line import terminal
from dsr_tf.command_line.flag_kinds import ListOf
from dsr_tf.command_line.flag_kinds import Whole
from dsr_tf.commands import benchmark_arm
from dsr_tf.commands import benchmark_output
from dsr_tf.commands import benchmark_storage
from dsr_tf.commands.benchmark_arm import Arm
from dsr_tf.commands.benchmark_arm import moves_weights
from dsr_tf.core import period as periods
from dsr_tf.training import build
from dsr_tf.training import experiment as experiments
from dsr_tf.training.guard import one_sentence

_AGAIN, _SAVING = "_again", "_saving"
# Figures of a network by name: heading and format.
_COLUMNS = {
    "seconds": ("seconds", ".3f"),
    "to_dense": ("to dense", ".3f"),
    "to_static": ("to static", ".3f"),
    "reallocation_ms": ("reallocation, ms", ".1f"),
    "adds": ("adds", ".2%"),
}
# Flags of `dsr_tf.train` that change nothing here. Flagfiles hold some.
_WITHOUT_EFFECT = (
    "output_dir",
    "method",
    "parameter_budget",
    "mac_budget",
    "keep_share",
    "phase",
    "penalty",
    "penalty_groups",
    "num_examples",
    "num_places",
    "thinet_rule",
    "energy",
    "narrow",
    "pruning_hparams",
    "storage",
    "slack",
    "resume",
    "checkpoint_every_steps",
    "checkpoints_to_keep",
    "tensorboard",
    "live",
)
# One device is measured; who asks for more is told so.
_HIDDEN = (*_WITHOUT_EFFECT, "strategy")


def _measurable() -> list[recipes.Recipe]:
    """The recipes that are trained here: the dense network, and all whose
    weights move every --period or never."""
    return [
        recipe
        for recipe in map(recipes.get, recipes.names())
        if recipe.is_reference or isinstance(recipe, recipes.Reallocating)
    ]


def _default() -> list[str]:
    names = []
    for recipe in _measurable():
        names.append(recipe.name)
        if recipe.is_reference:
            names.append(recipe.name + _AGAIN)
    return names


def main(argv: list[str] | None = None) -> None:
    argv = argv or command_line.arguments("benchmark")
    if benchmark_storage.asks(argv):
        benchmark_storage.run(argv)
        return
    flag_values = flags.FlagValues()
    experiments.define_flags(flag_values)
    command_line.define(flag_values, *benchmark_output.FLAG)
    for name, default, help, kind in (
        ("rounds", 15, "Times that each network is trained.", Whole(1)),
        (
            "steps",
            0,
            "Steps of a round; 0 for those of an epoch, or of as many epochs "
            "as hold a reallocation.",
            Whole(),
        ),
        (
            "networks",
            ",".join(_default()),
            "What to measure: methods, and a second dense network.",
            ListOf(_known, distinct=True),
        ),
        (
            "measured_period",
            0,
            "Steps between reallocations while measuring; 0 for the first of "
            "--period.",
            Whole(),
        ),
    ):
        command_line.define(flag_values, name, default, help, kind)
    command_line.parse(flag_values, argv, __doc__, hidden=_HIDDEN)
    values = flag_values.flag_values_dict()
    with command_line.usage_errors(argv[0]):
        _refuse_without_effect(argv[1:])
        benchmark_output.check(values["output"])
        arms = _arms(flag_values)
    with command_line.run_errors(argv[0]), one_sentence(afterwards=""):
        benchmark_arm.measure(arms, values["rounds"])
    rows = _figures(arms)
    terminal.console().print(_table(arms, rows))
    with command_line.run_errors(argv[0]):
        benchmark_output.write(values["output"], values, rows, hidden=_HIDDEN)


def _refuse_without_effect(arguments: Sequence[str]) -> None:
    """Flags of runs may stand in a flagfile, but nobody asks for them here.

    Raises:
        UsageError: if one is asked for that measures nothing.
    """
    for argument in arguments:
        name = argument.lstrip("-").partition("=")[0]
        # As --nolive is written.
        bare = name.removeprefix("no")
        if argument.startswith("-") and {name, bare} & {*_WITHOUT_EFFECT}:
            raise UsageError(
                f"flag --{name}: changes nothing that is measured; "
                "--networks says what is, and --output where figures go"
            )


def _known(name: str) -> str:
    _required_recipe(name)
    return name


def _recipe(name: str) -> recipes.Recipe | None:
    """The recipe of a network; None if there is none of that name."""
    by_name = {recipe.name: recipe for recipe in _measurable()}
    bare = name.removesuffix(_AGAIN).removesuffix(_SAVING)
    return by_name.get(name) or by_name.get(bare)


def _saves(name: str) -> bool:
    """Whether a network saves a checkpoint in each round."""
    return name.removesuffix(_AGAIN).endswith(_SAVING)


def _required_recipe(name: str) -> recipes.Recipe:
    """The recipe of a network.

    Raises:
        ValueError: if there is none of that name.
    """
    recipe = _recipe(name)
    if recipe is None:
        raise ValueError(
            f"must be among {', '.join(_default())}, or one of the methods "
            f"with {_AGAIN} or {_SAVING} behind it"
        )
    return recipe


def _arms(flag_values: flags.FlagValues) -> list[Arm]:
    strategy = flag_values["strategy"]
    if strategy.value != strategy.default:
        raise UsageError(
            f"flag --strategy={strategy.value}: one device is measured; give "
            f"--strategy={strategy.default}"
        )
    flag_values["output_dir"].value = "unused"
    experiment = experiments.from_flags(flag_values).scaled()
    data = build.load_data(
        experiment.dataset,
        experiment.data_dir,
        experiment.image_size,
        experiment.augmentation,
    )
    per_epoch = build.steps_per_epoch(experiment, data)
    values = flag_values.flag_values_dict()
    first = periods.in_updates(experiment.period, per_epoch)(0)
    period = values["measured_period"] or int(first)
    names, steps = values["networks"], values["steps"]
    has_moves = any(moves_weights(_required_recipe(name)) for name in names)
    if not steps:
        steps = benchmark_arm.round_steps(period if has_moves else 1, per_epoch)
    elif has_moves and steps < period:
        raise UsageError(
            f"flag --steps={steps}: a round must hold a reallocation, and they "
            f"are {period} steps apart; give at least as many, or a smaller "
            "--measured_period"
        )
    # Nothing that falls along the epochs may come to its end meanwhile.
    rounds = values["rounds"] + benchmark_arm.MOST_WARM_UPS
    num_epochs = math.ceil(rounds * steps / per_epoch)
    experiment = dataclasses.replace(
        experiment,
        fraction_end_epoch=2 * max(experiment.epochs, num_epochs),
    )
    return [
        Arm(
            experiment,
            name,
            _required_recipe(name),
            _saves(name),
            data,
            steps,
            period,
        )
        for name in names
    ]


def _figures(arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """What was measured of each network, by name; None for what it lacks."""
    dense = _first(arms, lambda recipe: recipe.is_reference)
    static = _first(
        arms, lambda recipe: recipe.has_masks and not moves_weights(recipe)
    )
    rows = []
    for arm in arms:
        base = statistics.median((static or dense or arm).seconds)
        rows.append(
            {
                "network": arm.name,
                "seconds": statistics.median(arm.seconds),
                "to_dense": _ratio(arm, dense),
                "to_static": _ratio(arm, static),
                "reallocation_ms": 1000 * statistics.median(arm.moves)
                if arm.moves
                else None,
                "adds": arm.added(base) if arm.moves else None,
            }
        )
    return rows


def _table(arms: Sequence[Arm], rows: Sequence[dict[str, Any]]) -> Table:
    first, experiment = arms[0], arms[0].experiment
    table = Table(
        title=f"{experiment.model} on {experiment.dataset}, batch "
        f"{experiment.batch_size}, sparsity {experiment.sparsity:g}, "
        f"{_count(len(first.seconds), 'round')} of "
        f"{_count(first.steps, 'step')}, a reallocation every "
        f"{periods.in_updates(experiment.period, first.steps_per_epoch)(0)}",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("network")
    for heading, _ in _COLUMNS.values():
        table.add_column(heading, justify="right")
    for row in rows:
        cells = benchmark_output.cells(row, _COLUMNS)
        table.add_row(row["network"].replace("_", " "), *cells)
    return table


def _ratio(arm: Arm, rival: Arm | None) -> float | None:
    if rival is None:
        return None
    pairs = zip(arm.seconds, rival.seconds)
    return statistics.median(a / b for a, b in pairs)


def _first(arms: Sequence[Arm], is_wanted: Callable[[Any], Any]) -> Arm | None:
    """The first network whose recipe is wanted, None if there is none."""
    return next((arm for arm in arms if is_wanted(arm.recipe)), None)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
