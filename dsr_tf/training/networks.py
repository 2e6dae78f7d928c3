"""From an experiment to its network, with the weights it starts from."""

import os
import re

import keras

from dsr_tf import conversion
from dsr_tf import distribution as distributions
from dsr_tf import draws
from dsr_tf.command_line import UsageError
from dsr_tf.models import MODELS
from dsr_tf.models import PAPER_DENSE
from dsr_tf.models.width import find_width
from dsr_tf.summary import sparsity_summary
from dsr_tf.training.saved import load_keras
from dsr_tf.training.saved import settings_of_run

# A stream of random draws that no kernel uses.
_NEW_WEIGHTS = 2**20 - 1


def build_model(experiment, image_shape, num_classes):
    """The network as the experiment says: dense, thin, tied or masked.

    Raises:
        UsageError: if what it is to start from cannot be had.
        ValueError: if a setting does not fit the network.
    """

    options = {}
    if experiment.model == "lenet_300_100":
        options["batch_normalization"] = experiment.batch_normalization

    def network(width):
        return MODELS[experiment.model](
            input_shape=image_shape,
            num_classes=num_classes,
            width=width,
            l1=experiment.l1,
            **options,
        )

    width = experiment.width
    if experiment.method == "thin":
        width = _thin_width(experiment, network)
    keras.utils.set_random_seed(_seed_of_weights(experiment))
    dense = network(width)
    if experiment.initial_checkpoint:
        _start_from(experiment, dense)
    filters = _filters(experiment)
    if experiment.method in ("dense", "thin"):
        return dense
    if experiment.method == "hashed":
        return conversion.tie(
            dense, experiment.sparsity, filters, experiment.seed
        )
    sparse = _sparsify(experiment, dense, filters)
    if experiment.copy_masks_from:
        _copy_masks(experiment, dense, sparse)
    return sparse


def _sparsify(experiment, dense, filters):
    is_gradual = experiment.method == "gradual"
    return conversion.sparsify(
        dense,
        0.0 if is_gradual else experiment.sparsity,
        distribution="uniform"
        if is_gradual
        else distributions.parse(experiment.distribution),
        filters=filters,
        granularity=experiment.granularity,
        seed=experiment.seed,
    )


def _filters(experiment):
    """Which layers to make sparse; None for all."""
    kept = {
        "paper": PAPER_DENSE[experiment.model],
        "none": [],
    }.get(experiment.keep_dense, [experiment.keep_dense])
    if experiment.sparse_shortcuts:
        kept = [pattern for pattern in kept if "shortcut" not in pattern]
    if not kept:
        return None
    return lambda layer: not any(re.search(p, layer.name) for p in kept)


def _thin_width(experiment, network):
    budget = experiment.parameter_budget
    if budget is None:
        sparse = _sparsify(
            experiment,
            network(experiment.width),
            _filters(experiment),
        )
        budget = sparsity_summary(sparse).num_active_parameters
    try:
        return find_width(
            lambda width: sparsity_summary(network(width)).num_parameters,
            budget,
        )
    except ValueError as error:
        raise UsageError(
            f"flag --parameter_budget={budget}: too few for "
            f"{experiment.model} ({error})"
        ) from error


def _start_from(experiment, dense):
    path = experiment.initial_checkpoint
    source = _load("initial_checkpoint", path)
    try:
        conversion.copy_weights(source, dense)
    except ValueError as error:
        raise UsageError(
            f"flag --initial_checkpoint={path}: is not of the network "
            f"{experiment.model} as the flags describe it"
        ) from error


def _copy_masks(experiment, dense, sparse):
    path = experiment.copy_masks_from
    source = _load("copy_masks_from", path)
    # All weights, for `sparse` has only those of its own masks so far.
    conversion.copy_weights(dense, sparse)
    try:
        conversion.copy_masks(source, sparse)
    except ValueError as error:
        raise UsageError(f"flag --copy_masks_from={path}: {error}") from error


def _seed_of_weights(experiment):
    """The seed that the initial weights are drawn from.

    Copied masks meet the weights that their run began with, or others than
    those whatever the seed.
    """
    path = experiment.copy_masks_from
    if not path:
        return experiment.seed
    if experiment.initial_weights == "original":
        return _seed_of_run(path)
    generator = draws.generator(experiment.seed, stream=_NEW_WEIGHTS)
    return int(generator.integers(draws.MAX_SEED))


def _seed_of_run(path):
    settings = settings_of_run(path)
    if "seed" not in settings:
        raise UsageError(
            f"flag --copy_masks_from={path}: must be the folder of a "
            "finished run for --initial_weights=original"
        )
    return settings["seed"]


def _load(flag, path):
    file = path
    if os.path.isdir(path):
        file = os.path.join(path, "model.keras")
    if not file.endswith(".keras") or not os.path.isfile(file):
        raise UsageError(
            f"flag --{flag}={path}: must be a .keras file or the folder of "
            "a finished run"
        )
    return load_keras(flag, file)
