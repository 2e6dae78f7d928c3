"""From an experiment to the Keras objects that run it."""

import math
import re

import keras

from dsr_tf import callbacks
from dsr_tf import conversion
from dsr_tf import data as datasets
from dsr_tf import methods
from dsr_tf.command_line import UsageError
from dsr_tf.layers import masked_weights
from dsr_tf.models import MODELS

# Keras shows progress, and reallocates, between executions only; more
# steps in one execution than this gain nothing.
_MAX_STEPS_PER_EXECUTION = 100


def load_data(dataset, data_dir):
    """The data set of a run, see `dsr_tf.data.load`.

    Raises:
        UsageError: if it cannot be had.
    """
    try:
        return datasets.load(dataset, data_dir)
    except datasets.DataError as error:
        raise UsageError(f"flag --dataset={dataset}: {error}") from error


def steps_per_epoch(experiment, data):
    """Full batches in the training set.

    Raises:
        UsageError: if a batch is more than the set.
    """
    steps = datasets.steps_per_epoch(data, experiment.batch_size)
    if not steps:
        raise UsageError(
            f"flag --batch_size={experiment.batch_size}: must be at most "
            f"the {len(data.train_images)} training images of "
            f"{experiment.dataset}"
        )
    return steps


def build_model(experiment, image_shape, num_classes):
    """The network, dense or sparse, as the experiment says."""
    model = MODELS[experiment.model](
        input_shape=image_shape,
        num_classes=num_classes,
        batch_normalization=experiment.batch_normalization,
        l1=experiment.l1,
        l2=experiment.l2,
    )
    if experiment.method == "dense":
        return model
    return conversion.sparsify(
        model,
        experiment.sparsity,
        distribution=experiment.distribution,
        filters=_filters(experiment.keep_dense),
        granularity=experiment.granularity,
        seed=experiment.seed,
    )


def _filters(keep_dense):
    if keep_dense is None:
        return None
    return lambda layer: not re.search(keep_dense, layer.name)


def compile_model(model, experiment, steps_per_epoch):
    """Compile with SGD and the learning rate schedule, in updates."""
    schedule = experiment.learning_rate.values
    rates = list(schedule.values())
    # The rate of a boundary counts from the step after it on.
    boundaries = [epoch * steps_per_epoch - 1 for epoch in schedule if epoch]
    jit_compile = experiment.jit_compile
    if jit_compile is None:
        jit_compile = experiment.strategy == "default"
    model.compile(
        optimizer=keras.optimizers.SGD(
            keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, rates)
            if boundaries
            else rates[0],
            momentum=experiment.momentum,
            nesterov=experiment.nesterov,
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=jit_compile,
        steps_per_execution=steps_per_execution(experiment, steps_per_epoch),
    )


def steps_per_execution(experiment, steps_per_epoch):
    """Steps in one call: as many as meet every period and epoch exactly."""
    if experiment.strategy == "mirrored":
        return 1
    if experiment.steps_per_execution:
        return experiment.steps_per_execution
    common = steps_per_epoch
    for period in experiment.period.values.values():
        common = math.gcd(common, period)
    if experiment.checkpoint_every_steps:
        common = math.gcd(common, experiment.checkpoint_every_steps)
    return max(
        n for n in range(1, _MAX_STEPS_PER_EXECUTION + 1) if common % n == 0
    )


def build_reallocation(experiment, model, listener=None):
    """The callback that moves weights, None for a dense network."""
    if experiment.method == "dense":
        return None
    return callbacks.Reallocation(
        _build_method(experiment, model),
        experiment.period,
        stop_epoch=experiment.stop_epoch,
        seed=experiment.seed,
        listener=listener,
    )


def _build_method(experiment, model):
    if experiment.method == "static":
        return methods.Static()
    if experiment.method == "set":
        # The authors' fractions for WRN-28-2: the K of DSR over the budget.
        num_active = sum(w.num_active for w in masked_weights(model))
        return methods.SET(experiment.num_reallocated / num_active)
    return methods.DSR(
        num_reallocated=experiment.num_reallocated,
        tolerance=experiment.tolerance,
        initial_threshold=experiment.initial_threshold,
    )
