"""The runs that one run starts from, where its flagfile names others.

The flagfile of a method that starts from a trained network says
`--initial_checkpoint={dense}`: `dense.flags` beside it, as for a comparison.
"""

import dataclasses
import os
from collections.abc import Sequence

from absl import flags

from dsr_tf.command_line import UsageError
from dsr_tf.command_line import flagfiles
from dsr_tf.comparison.plan import REFERRING
from dsr_tf.comparison.plan import PlannedRun
from dsr_tf.comparison.plan import common_flags
from dsr_tf.comparison.plan import parse
from dsr_tf.comparison.plan import plan
from dsr_tf.comparison.plan import references
from dsr_tf.training import checkpoint
from dsr_tf.training import run_summary

# What a command line says of the one run that it is for.
_OWN = {"output_dir", "resume", "seed", "sparsity", "method", "phase"}
_OWN |= {*REFERRING}


def earlier_runs(
    arguments: Sequence[str], flag_values: flags.FlagValues
) -> dict[str, list[PlannedRun]]:
    """The runs that a run of `dsr_tf.train` starts from.

    They are kept beside it, under the names that a comparison gives them,
    or are runs there of other names and the same settings. Flags on the
    command line hold for them as well, but for those that say which run it
    is.

    Args:
        arguments: Its command line, without the name of the command.
        flag_values: The same, parsed.

    Returns:
        Dict from each flag that stands for a run to the runs that lead
        there, that run last; each after those that it needs.

    Raises:
        UsageError: if a flagfile for one is not there or not valid.
    """
    if not flag_values["output_dir"].value or not references(flag_values):
        return {}
    found, others = flagfiles.named(arguments)
    runs = {}
    for flag, name in references(flag_values).items():
        naming = [
            path
            for path in found
            if references(parse([f"--flagfile={path}"])).get(flag) == name
        ]
        # On the command line it is beside no file.
        if naming:
            shared = [path for path in found if path != naming[-1]]
            given = parse([*(f"--flagfile={path}" for path in shared), *others])
            paths = _leading_to(_beside(naming[-1], name, flag), ())
            runs[flag] = _plan(paths, flag_values, common_flags(given, _OWN))
    return runs


def origins(flag_values: flags.FlagValues) -> dict[str, str]:
    """Where a run that is resumed has started from: it needs that no more.

    Returns:
        Dict from each flag that stands for a run to its folder; empty if
        there is nothing to resume.
    """
    folder = flag_values["output_dir"].value
    named = references(flag_values)
    if not (folder and named and flag_values["resume"].value):
        return {}
    newest = checkpoint.read_newest(os.path.join(folder, "checkpoints"))
    return {flag: newest.settings[flag] for flag in named} if newest else {}


def _plan(
    paths: Sequence[str], flag_values: flags.FlagValues, common: Sequence[str]
) -> list[PlannedRun]:
    values = flag_values.flag_values_dict()
    return plan(
        paths,
        [values["seed"]],
        [round(1 - values["sparsity"], 12)],
        os.path.dirname(os.path.normpath(values["output_dir"])),
        common,
        _kept,
    )


def _leading_to(path: str, following: Sequence[str]) -> list[str]:
    """A flagfile after those of the runs that its own starts from."""
    if path in following:
        raise UsageError(f"flag --flagfile={path}: its run starts from itself")
    before: list[str] = []
    for flag, name in references(parse([f"--flagfile={path}"])).items():
        for other in _leading_to(_beside(path, name, flag), [*following, path]):
            if other not in before:
                before.append(other)
    return [*before, path]


def _beside(path: str, name: str, flag: str) -> str:
    found = os.path.join(os.path.dirname(path), f"{name}.flags")
    if not os.path.isfile(found):
        raise UsageError(
            f"flag --{flag}={{{name}}}: there is no {name}.flags beside {path} "
            "that would tell how to train it; give the folder of a run"
        )
    return found


def _kept(planned: PlannedRun) -> PlannedRun:
    """The run, in the folder of an equal one if there is only that."""
    if os.path.lexists(planned.folder):
        return planned
    parent = os.path.dirname(planned.folder) or "."
    for name in sorted(os.listdir(parent)) if os.path.isdir(parent) else ():
        folder = os.path.join(os.path.dirname(planned.folder), name)
        try:
            settings = run_summary.read(folder, ("settings",))["settings"]
        except (OSError, run_summary.Damaged):
            continue
        if planned.differing(settings) is None:
            return dataclasses.replace(planned, folder=folder)
    return planned
