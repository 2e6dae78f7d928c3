"""From an experiment to its network, with the weights it starts from."""

import functools
import math
import os
import re

import keras

from dsr_tf import conversion
from dsr_tf.command_line import UsageError
from dsr_tf.command_line import naming_flags
from dsr_tf.core import distribution as distributions
from dsr_tf.core import draws
from dsr_tf.core import memory
from dsr_tf.core.checks import is_integer
from dsr_tf.export.formats.keras import load_keras
from dsr_tf.layers.summary import sparsity_summary
from dsr_tf.models import MODELS
from dsr_tf.models import PAPER_DENSE
from dsr_tf.models.width import MAX_WIDTH
from dsr_tf.models.width import find_width
from dsr_tf.training.earlier_runs import settings_of_run
from dsr_tf.training.settings import Settings

# A stream of random draws that no kernel uses.
_NEW_WEIGHTS = 2**20 - 1
# A weight, its gradient, its momentum, and a copy while masks are made.
_BYTES_A_PARAMETER = 4 * 4


def build_model(experiment, image_shape, num_classes):
    """The network as the experiment says: dense, thin, tied or masked.

    Raises:
        UsageError: if a setting does not fit the network, if it would not
            fit into memory, or if what it is to start from cannot be had.
    """
    with naming_flags(experiment.flag_values(), "model"):
        return _build(experiment, image_shape, num_classes)


def _build(experiment, image_shape, num_classes):
    width = experiment.width
    _check_size(experiment, image_shape, num_classes)

    def network(width):
        return _network(experiment, image_shape, num_classes, width)

    if experiment.method == "thin":
        width = _thin_width(experiment, image_shape, num_classes)
    keras.utils.set_random_seed(_seed_of_weights(experiment))
    dense = network(width)
    if experiment.initial_checkpoint:
        _start_from(experiment, dense)
    if experiment.method in ("dense", "thin"):
        return dense
    filters = _filters(experiment)
    if filters and not any(
        filters(layer) for layer in dense.layers if hasattr(layer, "kernel")
    ):
        raise UsageError(
            f"flag --keep_dense={experiment.keep_dense}: then "
            f"{experiment.model} has no layer to mask"
        )
    if experiment.method == "hashed":
        return conversion.tie(
            dense, experiment.sparsity, filters, experiment.seed
        )
    sparse = _sparsify(experiment, dense, filters)
    if experiment.copy_masks_from:
        _copy_masks(experiment, dense, sparse)
    return sparse


def _network(experiment, image_shape, num_classes, width):
    options = {}
    if experiment.model == "lenet_300_100":
        options["batch_normalization"] = experiment.batch_normalization
    return MODELS[experiment.model](
        input_shape=image_shape,
        num_classes=num_classes,
        width=width,
        l1=experiment.l1,
        **options,
    )


def _check_size(experiment, image_shape, num_classes):
    """Refuse a network that memory does not suffice for."""
    width, shape = experiment.width, tuple(image_shape)
    if width > MAX_WIDTH:
        raise UsageError(
            f"flag --width={width:g}: must be at most {MAX_WIDTH:g}"
        )
    number, outputs = _size(experiment, shape, num_classes, width)
    with naming_flags({"width": width}, "width"):
        memory.check(
            _BYTES_A_PARAMETER * number,
            f"training the {number:,} parameters of {experiment.model} for "
            f"images of {shape}",
        )
    if experiment.strategy not in ("default", "mirrored"):
        return  # Others share a batch, and what it takes.
    batch = experiment.batch_size
    with naming_flags({"batch_size": batch}, "batch_size"):
        memory.check(
            4 * batch * outputs,
            f"what the kernels of {experiment.model} give for as many images "
            f"of {shape}",
        )


def _size(experiment, image_shape, num_classes, width):
    """Numbers of a network: its parameters, and what its kernels give for
    an image, which is kept for the gradient."""
    return _sizes(
        experiment.model,
        image_shape,
        num_classes,
        width,
        experiment.batch_normalization,
    )


@functools.cache
def _sizes(model, image_shape, num_classes, width, batch_normalization):
    import tensorflow as tf

    described = Settings(model=model, batch_normalization=batch_normalization)
    # In a graph that nobody runs, variables have shapes only.
    with tf.Graph().as_default():
        network = _network(described, image_shape, num_classes, width)
        return (
            sum(math.prod(v.shape) for v in network.trainable_variables),
            sum(
                math.prod(layer.output.shape[1:])
                for layer in network.layers
                if hasattr(layer, "kernel")
            ),
        )


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


def _thin_width(experiment, image_shape, num_classes):
    budget = experiment.parameter_budget
    if budget is None:
        sparse = _sparsify(
            experiment,
            _network(experiment, image_shape, num_classes, experiment.width),
            _filters(experiment),
        )
        budget = sparsity_summary(sparse).num_active_parameters
    with naming_flags({"parameter_budget": budget}, "parameter_budget"):
        memory.check(
            _BYTES_A_PARAMETER * budget, f"training {budget:,} parameters"
        )
    shape = tuple(image_shape)
    try:
        return find_width(
            lambda width: _size(experiment, shape, num_classes, width)[0],
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
    except (ValueError, KeyError) as error:
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
