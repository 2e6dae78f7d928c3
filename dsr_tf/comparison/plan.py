"""Which runs a comparison is made of, and where each of them is kept."""

import dataclasses
import os
import re
import types
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from absl import flags

from dsr_tf import command_line
from dsr_tf import recipes
from dsr_tf.command_line import UsageError
from dsr_tf.core.schedule import exact
from dsr_tf.export import target
from dsr_tf.training import experiment as experiments
from dsr_tf.training import run_summary

_REFERENCE = re.compile(r"\{(\w+)\}")
# A run may be continued for more epochs, but here it is finished.
_FREE = set(experiments.FREE_TO_CHANGE) - {"epochs"}
# Flags that a flagfile may fill with the name of another.
REFERRING = ("initial_checkpoint", "copy_masks_from")
# What the tables need of a summary.
_COMPARED = (
    "settings",
    "test_accuracy",
    "num_parameters",
    "num_active_parameters",
    "mask_density",
    "seconds_per_epoch",
)


@dataclasses.dataclass(frozen=True)
class PlannedRun:
    """One run of `dsr_tf.train`.

    Attributes:
        name: Name of its flagfile, without folder and ending.
        method: The method that the flagfile sets.
        density: Share of active weights; None where it has no meaning.
        seed: The seed.
        folder: Where the run is kept.
        arguments: Flags for `dsr_tf.train`.
        needs: Folders of the runs that must be finished before.
        settings: What `summary.json` will hold as settings.
    """

    name: str
    method: str
    density: float | None
    seed: int
    folder: str
    arguments: list[str]
    needs: list[str]
    settings: dict[str, Any]

    def __str__(self) -> str:
        density = (
            "" if self.density is None else f", density {exact(self.density)}"
        )
        return f"{self.name}{density}, seed {self.seed}"

    def summary(self) -> dict | None:
        """The results as a dict; None if the run is not finished.

        Raises:
            UsageError: if another run is kept in the folder.
        """
        try:
            summary = run_summary.read(self.folder, _COMPARED)
        except FileNotFoundError:
            return None
        except run_summary.Damaged as error:
            raise UsageError(
                f"flag --output_dir: {error}; remove the folder {self.folder} "
                "to run it again"
            ) from error
        differing = self.differing(summary["settings"])
        if differing:
            name, wanted, found = differing
            raise UsageError(
                f"flag --output_dir: {self.folder} holds a run with --{name}="
                f"{found}, where {wanted} is wanted; give an --output_dir "
                f"outside {os.path.dirname(self.folder) or os.curdir}, or "
                "remove that run"
            )
        return summary

    def differing(
        self, settings: Mapping[str, Any]
    ) -> tuple[str, Any, Any] | None:
        """The first of its settings that other ones differ in.

        Args:
            settings: Those in the summary of a finished run.

        Returns:
            Its name, the value that is wanted and the other; or None.
        """
        found = dict(settings)
        for flag in REFERRING:
            # The folder of a comparison may have been moved as a whole.
            if self._base(found.get(flag)) in map(self._base, self.needs):
                found[flag] = self.settings[flag]
        return experiments.differing(self.settings, found, _FREE)

    @staticmethod
    def _base(path: object) -> str:
        return os.path.basename(path) if isinstance(path, str) else ""


def plan(
    flagfiles: Iterable[str],
    seeds: Sequence[int],
    densities: Sequence[float],
    folder: str,
    common: Sequence[str],
    kept: Callable[[PlannedRun], PlannedRun] = lambda run: run,
) -> list[PlannedRun]:
    """All runs of a comparison, in the order to run them.

    Args:
        flagfiles: Paths of flagfiles for `dsr_tf.train`.
        seeds: List of integers.
        densities: List of numbers in (0, 1].
        folder: Folder of the comparison.
        common: Flags for every run, as on a command line.
        kept: Function that may put another folder into a run, where such a
            run is kept already.

    Returns:
        List of `PlannedRun`; a dense network has one for each seed, all
        others one for each seed and density.

    Raises:
        UsageError: if a flagfile is not valid or refers to one that does
            not come before it.
    """
    runs: dict[str, list[PlannedRun]] = {}
    for path in flagfiles:
        name = os.path.splitext(os.path.basename(path))[0]
        if name in runs:
            raise UsageError(
                f"flag --flagfiles: {name} is there twice; the files' names "
                "must differ"
            )
        try:
            target.check_loadable(os.path.join(folder, name))
        except ValueError as error:
            raise UsageError(
                f"flag --flagfiles={path}: names a folder of --output_dir="
                f"{folder}: {error}"
            ) from error
        values = parse([f"--flagfile={path}", *common]).flag_values_dict()
        recipe = recipes.get(values["method"])
        has_density = recipe.has_density(types.SimpleNamespace(**values))
        own: Sequence[float | None] = densities if has_density else [None]
        runs[name] = [
            kept(_planned(path, name, runs, density, seed, folder, common))
            for density in own
            for seed in seeds
        ]
    return [run for of_one_file in runs.values() for run in of_one_file]


def _planned(
    path: str,
    name: str,
    earlier: Mapping[str, Sequence[PlannedRun]],
    density: float | None,
    seed: int,
    folder: str,
    common: Sequence[str],
) -> PlannedRun:
    own = _folder(folder, name, density, seed)
    arguments = [f"--flagfile={path}", *common, f"--seed={seed}"]
    if density is not None:
        arguments.append(f"--sparsity={_sparsity(density)}")
    needs = []
    for flag, other in references(parse(arguments)).items():
        if other not in earlier:
            raise UsageError(
                f"flag --flagfiles: {name} starts from {{{other}}}, so a file "
                f"{other}.flags must come before it"
            )
        needs.append(_folder_of(earlier[other], density, seed))
        arguments.append(f"--{flag}={needs[-1]}")
    arguments.append(f"--output_dir={own}")
    flag_values = parse(arguments)
    try:
        experiment = experiments.from_flags(flag_values)
    except UsageError as error:
        raise UsageError(f"{error} (in the run of {path})") from error
    return PlannedRun(
        name=name,
        method=experiment.method,
        density=density,
        seed=seed,
        folder=own,
        arguments=[*arguments, "--resume"],
        needs=needs,
        settings=experiment.to_dict(),
    )


def references(flag_values: flags.FlagValues) -> dict[str, str]:
    """The flags that stand for the run of another flagfile.

    Returns:
        Dict from such a flag to the name of the file: `dense` where the
        flag is `{dense}`.
    """
    found = {
        flag: _REFERENCE.fullmatch(flag_values[flag].value or "")
        for flag in REFERRING
    }
    return {flag: match[1] for flag, match in found.items() if match}


def common_flags(
    flag_values: flags.FlagValues, own: Collection[str]
) -> list[str]:
    """What a command line gives for every run, as flags.

    Args:
        flag_values: The parsed command line.
        own: Names of flags that each run has of its own.
    """
    return [
        f"--{name}={command_line.written(flag_values[name].value)}"
        for name in experiments.names()
        if flag_values[name].present and name not in own
    ]


def _folder_of(
    runs: Sequence[PlannedRun], density: float | None, seed: int
) -> str:
    """Where the run of a seed is, of a density if it has one."""
    (found,) = (
        run.folder
        for run in runs
        if run.seed == seed and run.density in (None, density)
    )
    return found


def _folder(folder: str, name: str, density: float | None, seed: int) -> str:
    """The folder of a run; its name has the density with all digits."""

    def named(part: str) -> str:
        return os.path.join(folder, f"{name}{part}-seed{seed}")

    if density is None:
        return named("")
    # Earlier versions wrote six digits; what they have finished stays.
    before = named(f"-{density:g}")
    try:
        found = run_summary.read(before, ("settings",))["settings"]
        if found.get("sparsity") == _sparsity(density):
            return before
    except (FileNotFoundError, run_summary.Damaged):
        pass
    return named(f"-{exact(density)}")


def _sparsity(density: float) -> float:
    """Without the rounding error of `1 - density`, such as for 0.02."""
    return round(1 - density, 12)


def parse(arguments: Sequence[str]) -> flags.FlagValues:
    """The flags of `dsr_tf.train`, parsed.

    Raises:
        UsageError: if one is unknown or its value not accepted.
    """
    flag_values = flags.FlagValues()
    experiments.define_flags(flag_values)
    command_line.parse_flags(flag_values, "dsr_tf.train", arguments)
    return flag_values
