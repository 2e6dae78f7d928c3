"""Train a sparse network: `python -m dsr_tf.train --flagfile=FILE`.

Settings are flags, of which a flagfile holds a line each; a flag on the
command line overrides the flagfile. Everything that the run writes goes to
--output_dir: summary.json, metrics.csv, reallocations.csv, checkpoints/,
saved_model/ and model.keras.

A flagfile that says --initial_checkpoint={dense} starts from the run of
dense.flags beside it: one of the same settings in the folder that
--output_dir is in, or else one that is trained first, there.
"""

from collections.abc import Sequence

import keras
from absl import flags
from absl import logging
from rich.console import Console

from dsr_tf import command_line
from dsr_tf import recipes
from dsr_tf.command_line import terminal
from dsr_tf.commands.results import channels_table
from dsr_tf.commands.results import results_table
from dsr_tf.comparison.earlier import earlier_runs
from dsr_tf.comparison.earlier import origins
from dsr_tf.comparison.plan import PlannedRun
from dsr_tf.comparison.plan import parse
from dsr_tf.layers import masked_weights
from dsr_tf.layers.storages import MASKED
from dsr_tf.structure.whole.summary import sparsity_summary
from dsr_tf.training import experiment as experiments
from dsr_tf.training import folder
from dsr_tf.training.cluster import Cluster
from dsr_tf.training.experiment import Experiment
from dsr_tf.training.few_moves import few_reallocations
from dsr_tf.training.lost_rates import lost_rates
from dsr_tf.training.run import Run
from dsr_tf.training.stop import StopSignals
from dsr_tf.training.unreached import unreached_outputs
from dsr_tf.training.unused import unused_moves

_FIRST_STEPS = """
To begin: {command} --flagfile=flags/quickstart.flags --output_dir=runs/first
Other flagfiles, of networks and methods of papers, are in {flagfiles}
All flags: {command} --help
"""


def main(argv: list[str] | None = None) -> None:
    argv = argv or command_line.arguments("train")
    flag_values = flags.FlagValues()
    experiments.define_flags(flag_values)
    command_line.parse(flag_values, argv, __doc__, first_steps=_FIRST_STEPS)
    with StopSignals(argv[0]) as signals:
        with command_line.run_errors(argv[0]):
            for flag, path in origins(flag_values).items():
                flag_values[flag].value = path
            earlier = earlier_runs(argv[1:], flag_values)
            for flag, runs in earlier.items():
                flag_values[flag].value = runs[-1].folder
            experiment = experiments.from_flags(flag_values)
        for flag, runs in earlier.items():
            _train_earlier(argv[0], flag, runs, experiment, signals)
        _train(argv[0], experiment, signals)


def _train_earlier(
    name: str,
    flag: str,
    runs: Sequence[PlannedRun],
    experiment: Experiment,
    signals: StopSignals,
) -> None:
    """Train the runs that one starts from, if they are not there."""
    with command_line.run_errors(name):
        is_chief = Cluster(experiment.strategy).is_chief
        if is_chief:
            # Now, and not when the others have been trained.
            folder.check(experiment.output_dir, experiment.resume)
        missing = [run for run in runs if run.summary() is None]
    console = terminal.console(quiet=not is_chief)
    for planned in runs:
        what = "trained first" if planned in missing else "found"
        console.print(
            f"--{flag}={planned.folder}: the run of {planned}, {what}.",
            highlight=False,
            soft_wrap=True,
        )
    for planned in missing:
        with command_line.run_errors(name):
            needed = experiments.from_flags(parse(planned.arguments))
        _train(name, needed, signals, is_earlier=True)
        # What it named, and took of memory, is free again.
        keras.backend.clear_session()


def _train(
    name: str,
    experiment: Experiment,
    signals: StopSignals,
    is_earlier: bool = False,
) -> None:
    with command_line.run_errors(name):
        run = Run(experiment, signals)
    # Of several workers, one speaks.
    console = terminal.console(quiet=not run.cluster.is_chief)
    _announce(run, console)
    if experiment.resume and not run.is_resumed and not is_earlier:
        console.print("No checkpoint to resume from: starting at step 0.")
    for sentence in (
        *recipes.unused_amounts(run.experiment),
        *unused_moves(run.settings, run.asked),
        *lost_rates(run.settings, run.experiment),
        *few_reallocations(
            run.reallocation,
            run.settings["period"],
            run.steps_per_epoch,
            run.experiment.epochs,
        ),
        *_unreached(run),
        *_unseen(run.experiment, console),
    ):
        if run.cluster.is_chief:
            logging.warning("%s", sentence)
    with command_line.run_errors(name, command_line.GOES_ON):
        summary = run.train()
    if summary is None:
        return
    sparsity = sparsity_summary(run.model)
    if sparsity.layers:
        console.print(sparsity.table())
    if "narrowed" in summary:
        console.print(channels_table(summary))
    console.print(results_table(summary, run.experiment.output_dir))


def _unreached(run: Run) -> list[str]:
    if run.is_resumed or not masked_weights(run.model):
        return []
    number = unreached_outputs(run.model, run.data.image_shape)
    if not number:
        return []
    return [
        f"{number} of {run.data.num_classes} outputs are the same for every "
        "image: no path of active weights leads to them at the start"
    ]


def _unseen(experiment: Experiment, console: Console) -> list[str]:
    if experiment.live and not terminal.changes_in_place(console):
        return ["flag --live: needs a terminal, and the output goes elsewhere"]
    return []


def _announce(run: Run, console: Console) -> None:
    experiment, sparsity = run.experiment, sparsity_summary(run.model)
    density = (
        f", mask density {sparsity.mask_density:.4f}" if sparsity.layers else ""
    )
    phase = recipes.get(experiment.method).phase(experiment)
    how = ", ".join(filter(None, (experiment.method, phase)))
    console.print(
        f"{experiment.model} on {experiment.dataset}, {how}: "
        f"{sparsity.num_active_parameters:,} of {sparsity.num_parameters:,} "
        f"parameters active{density}",
        highlight=False,
        soft_wrap=True,
    )
    if any(layer.storage != MASKED for layer in sparsity.layers):
        console.print(
            f"Stored as {sparsity.storage_note}.",
            highlight=False,
            soft_wrap=True,
        )
    if run.cluster.is_distributed:
        console.print(
            f"Each batch is shared by {run.cluster.num_replicas} replicas, "
            f"{run.cluster.num_replicas // run.cluster.num_workers} here.",
            highlight=False,
        )
    if run.is_resumed:
        console.print(f"Resuming at step {run.start}.", highlight=False)
