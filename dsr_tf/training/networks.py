"""From an experiment to its network, with the weights it starts from."""

import dataclasses
import os
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras

from dsr_tf import conversion
from dsr_tf import recipes
from dsr_tf.command_line import UsageError
from dsr_tf.command_line import naming_flags
from dsr_tf.core import draws
from dsr_tf.core import memory
from dsr_tf.core.checks import is_integer
from dsr_tf.export.formats.keras import load_keras
from dsr_tf.layers.storages import MASKED
from dsr_tf.models.width import MAX_WIDTH
from dsr_tf.recipes.network import Network
from dsr_tf.recipes.network import check_memory
from dsr_tf.training import architecture
from dsr_tf.training.architecture import Prepared
from dsr_tf.training.checkpoint import Checkpoint
from dsr_tf.training.earlier_runs import settings_of_run
from dsr_tf.training.experiment import Experiment
from dsr_tf.training.guard import one_sentence

# A stream of random draws that no kernel uses.
_NEW_WEIGHTS = 2**20 - 1


def build_model(
    experiment: Experiment,
    image_shape: Sequence[int],
    num_classes: int,
    prepared: Prepared | None = None,
    is_resumed: bool = False,
) -> keras.Model:
    """The network as the recipe of the experiment makes it.

    Args:
        experiment: An `Experiment`.
        image_shape: Shape of an image.
        num_classes: Number of logits.
        prepared: What `prepare` gave, where the recipe prepares.
        is_resumed: Whether a checkpoint will give the weights and masks, and
            say how they are stored, so that what the run started from need
            not be there any more.

    Raises:
        UsageError: if a setting does not fit the network, if it would not
            fit into memory, or if what it is to start from cannot be had.
    """
    with naming_flags(experiment.flag_values(), "model"):
        recipe = recipes.get(experiment.method)
        if prepared is not None:
            dense = prepared.build()
        else:
            network = Network(experiment, image_shape, num_classes)
            dense = _dense(experiment, network, is_resumed)
        # Where masks are given there must be room for these.
        has_masks = is_resumed or bool(experiment.copy_masks_from)
        model = recipe.convert(
            dataclasses.replace(experiment, storage=MASKED, slack=None)
            if has_masks
            else experiment,
            dense,
        )
        if experiment.copy_masks_from and not is_resumed:
            _copy_masks(experiment.copy_masks_from, dense, model)
            if experiment.storage != MASKED:
                conversion.with_storage(
                    model, experiment.storage, experiment.slack, inplace=True
                )
        return model


def prepare(
    experiment: Experiment,
    image_shape: Sequence[int],
    num_classes: int,
    images: Callable[[], Any],
    newest: Checkpoint | None,
) -> Prepared | None:
    """What the recipe makes of the network before step 0, None if nothing.

    Args:
        experiment: An `Experiment`.
        image_shape: Shape of an image.
        num_classes: Number of logits.
        images: Function that gives what `Recipe.prepare` takes.
        newest: The checkpoint that the run goes on from, None for none.

    Raises:
        UsageError: as `build_model` does.
        RunError: if the images cannot be read.
    """
    recipe = recipes.get(experiment.method)
    if not recipe.prepares(experiment):
        return None
    if newest is not None:
        if newest.architecture is None:
            raise UsageError(
                f"the checkpoint {newest.path} is damaged: it holds no network"
            )
        return Prepared(newest.architecture, None, newest.path)
    with naming_flags(experiment.flag_values(), "model"):
        network = Network(experiment, image_shape, num_classes)
        dense = _dense(experiment, network)
        with one_sentence("cannot prepare the network", ""):
            return architecture.prepared(
                recipe.prepare(experiment, dense, images())
            )


def _dense(
    experiment: Experiment, network: Network, is_resumed: bool = False
) -> keras.Model:
    """The dense network, with the weights that it starts from."""
    _check_size(experiment, network)
    width = recipes.get(experiment.method).width(experiment, network)
    seed = experiment.seed if is_resumed else _seed_of_weights(experiment)
    keras.utils.set_random_seed(seed)
    dense = network.build(width)
    if experiment.initial_checkpoint and not is_resumed:
        dense = recipes.get(experiment.method).source(experiment, dense)
        _start_from(experiment.initial_checkpoint, experiment, dense)
    return dense


def _check_size(experiment: Experiment, network: Network) -> None:
    """Refuse a network that memory does not suffice for."""
    width = experiment.width
    if width > MAX_WIDTH:
        raise UsageError(
            f"flag --width={width:g}: must be at most {MAX_WIDTH:g}"
        )
    number = network.num_parameters(width)
    with naming_flags({"width": width}, "width"):
        check_memory(
            number,
            f"training the {number:,} parameters of {experiment.model} for "
            f"images of {network.image_shape}",
            experiment.num_slots,
        )
    if experiment.strategy not in ("default", "mirrored"):
        return  # The workers of others share a batch, and its memory.
    batch = experiment.batch_size
    with naming_flags({"batch_size": batch}, "batch_size"):
        memory.check(
            4 * batch * network.num_outputs(width),
            f"what the kernels of {experiment.model} give for as many images "
            f"of {network.image_shape}",
        )


def _start_from(path: str, experiment: Experiment, dense: keras.Model) -> None:
    source = _load("initial_checkpoint", path)
    try:
        conversion.copy_weights(source, dense)
    except (ValueError, KeyError) as error:
        raise UsageError(
            f"flag --initial_checkpoint={path}: is not of the network "
            f"{experiment.model} as the flags describe it"
        ) from error


def _copy_masks(path: str, dense: keras.Model, sparse: keras.Model) -> None:
    source = _load("copy_masks_from", path)
    # All weights: `sparse` has only those that its own masks left active.
    conversion.copy_weights(dense, sparse)
    try:
        conversion.copy_masks(source, sparse)
    except ValueError as error:
        raise UsageError(f"flag --copy_masks_from={path}: {error}") from error


def _seed_of_weights(experiment: Experiment) -> int:
    """The seed that the initial weights are drawn from.

    With copied masks, these are the weights that the run of the masks began
    with; or new ones, which differ from those whatever the seed is.
    """
    path = experiment.copy_masks_from
    if not path:
        return experiment.seed
    if experiment.initial_weights == "original":
        return _seed_of_run(path)
    generator = draws.generator(experiment.seed, stream=_NEW_WEIGHTS)
    return int(generator.integers(draws.MAX_SEED))


def _seed_of_run(path: str) -> int:
    settings = settings_of_run(path, "copy_masks_from")
    if "seed" not in settings:
        raise UsageError(
            f"flag --copy_masks_from={path}: must be the folder of a "
            "finished run for --initial_weights=original"
        )
    if not is_integer(settings["seed"]):
        raise UsageError(
            f"flag --copy_masks_from={path}: its summary.json is damaged, it "
            f"holds the seed {settings['seed']!r}"
        )
    return settings["seed"]


def _load(flag: str, path: str) -> keras.Model:
    file = path
    if os.path.isdir(path):
        file = os.path.join(path, "model.keras")
    if not file.endswith(".keras") or not os.path.isfile(file):
        raise UsageError(
            f"flag --{flag}={path}: must be a .keras file or the folder of "
            "a finished run"
        )
    return load_keras(flag, file)
