"""From an experiment to the Keras objects that run it."""

import functools
import math
import os
from collections.abc import Callable
from typing import Any

import keras

from dsr_tf import data as datasets
from dsr_tf import losses
from dsr_tf import optimizers
from dsr_tf import recipes
from dsr_tf.command_line import UsageError
from dsr_tf.command_line import naming_flags
from dsr_tf.core import period as periods
from dsr_tf.data.streaming import AnyData
from dsr_tf.layers import Masked
from dsr_tf.layers import storages
from dsr_tf.training import optimizer
from dsr_tf.training.cluster import Cluster
from dsr_tf.training.experiment import Experiment

# Keras shows progress, and reallocates, between executions only; more
# steps in one execution than this gain nothing.
_MAX_STEPS_PER_EXECUTION = 100
# With this many classes or more, top-5 accuracy is measured too.
_CLASSES_FOR_TOP5 = 100


def load_data(
    dataset: str,
    data_dir: str | os.PathLike | None,
    image_size: int | None,
    augmentation: str = "none",
) -> AnyData:
    """The data set of a run, see `dsr_tf.data.load`.

    Raises:
        UsageError: if it cannot be had, or not be augmented that way.
    """
    given = {
        "dataset": dataset,
        "data_dir": data_dir,
        "image_size": image_size,
    }
    # A message names only what the command line gave.
    given = {
        name: value
        for name, value in given.items()
        if value or name == "dataset"
    }
    with naming_flags(given, "dataset"):
        data = datasets.load(dataset, data_dir, image_size)
    with naming_flags({"augmentation": augmentation}, "augmentation"):
        datasets.check_augmentation(data, augmentation)
    return data


def steps_per_epoch(experiment: Experiment, data: AnyData) -> int:
    """Full batches in the training set.

    Raises:
        UsageError: if a batch is more than the set.
    """
    steps = data.num_train // experiment.batch_size
    if not steps:
        raise UsageError(
            f"flag --batch_size={experiment.batch_size}: must be at most "
            f"the {data.num_train} training images of {experiment.dataset}"
        )
    return steps


def train_batches(
    experiment: Experiment,
    data: AnyData,
    first_step: int = 0,
    cluster: Cluster | None = None,
) -> Any:
    """The training batches of a run from a step on.

    In a distributed run, this worker's part of each of them, cut into a
    batch for each of its replicas in turn.
    """
    batches = datasets.train_batches(
        data,
        experiment.batch_size,
        experiment.seed,
        first_step,
        experiment.augmentation,
        **({"part": cluster.part} if cluster else {}),
    )
    if cluster is None or not cluster.is_distributed:
        return batches
    each = experiment.batch_size // cluster.num_replicas
    return batches.rebatch(each, drop_remainder=True)


def plain_batches(experiment: Experiment, data: AnyData) -> Any:
    """A pass over the training images as `Recipe.prepare` gets them."""
    batches = datasets.train_batches(
        data, experiment.batch_size, experiment.seed
    )
    return batches.take(steps_per_epoch(experiment, data))


def learning_rate(
    experiment: Experiment, steps_per_epoch: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate: a number, or Keras' schedule, in updates."""
    schedule = experiment.learning_rate.values
    rates = list(schedule.values())
    # The rate of a boundary counts from the step after it on.
    boundaries = [epoch * steps_per_epoch - 1 for epoch in schedule if epoch]
    rate = rates[0]
    if experiment.cosine:
        rate = keras.optimizers.schedules.CosineDecay(
            rate, experiment.epochs * steps_per_epoch
        )
    elif boundaries:
        rate = keras.optimizers.schedules.PiecewiseConstantDecay(
            boundaries, rates
        )
    num_steps = round(experiment.warmup_epochs * steps_per_epoch)
    return optimizers.WarmUp(rate, num_steps) if num_steps else rate


def rate_of(
    experiment: Experiment, steps_per_epoch: int
) -> Callable[[int], float]:
    """A function from an epoch to the learning rate of its first step."""
    rate = learning_rate(experiment, steps_per_epoch)

    def of(epoch: int) -> float:
        now = rate(epoch * steps_per_epoch) if callable(rate) else rate
        return float(f"{float(now):.6g}")  # Schedules compute in float32.

    return of


def prepare_keras(experiment: Experiment) -> None:
    """Set the seed and the precision that all of this process has."""
    keras.utils.set_random_seed(experiment.seed)
    precision = experiment.mixed_precision
    keras.config.set_dtype_policy(
        precision if precision == "float32" else f"mixed_{precision}"
    )


def compile_model(
    model: keras.Model, experiment: Experiment, steps_per_epoch: int
) -> None:
    """Compile with the optimizer, loss and metrics of the experiment."""
    model.compile(
        optimizer=optimizer.make(
            experiment, learning_rate(experiment, steps_per_epoch)
        ),
        loss=losses.SmoothedCrossentropy(experiment.label_smoothing)
        if experiment.label_smoothing
        else keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=_metrics(model.output_shape[-1]),
        jit_compile=_jit_compile(experiment, model),
        steps_per_execution=steps_per_execution(experiment, steps_per_epoch),
    )
    # Its variables belong to the strategy whose scope this is.
    model.optimizer.build(model.trainable_variables)


def _jit_compile(experiment: Experiment, model: keras.Model) -> bool:
    """Whether XLA compiles the step.

    Raises:
        UsageError: if it should, and cannot.
    """
    used = {
        layer.storage
        for layer in model._flatten_layers()
        if isinstance(layer, Masked)
    }
    if experiment.jit_compile is None:
        return all(map(storages.suits_jit, used))
    without = sorted(name for name in used if not storages.has_jit(name))
    if experiment.jit_compile and without:
        raise UsageError(
            "flag --jit_compile=true: XLA does not have the products of "
            f"layers that store {', '.join(without)}; give --nojit_compile"
        )
    return experiment.jit_compile


def _metrics(num_classes: int) -> list[keras.metrics.Metric]:
    metrics = [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
    if num_classes >= _CLASSES_FOR_TOP5:
        metrics.append(
            keras.metrics.SparseTopKCategoricalAccuracy(5, name="top5_accuracy")
        )
    return metrics


def steps_per_execution(experiment: Experiment, steps_per_epoch: int) -> int:
    """Steps in one call: many, but every period and epoch ends with a call."""
    if experiment.steps_per_execution:
        return experiment.steps_per_execution
    common = steps_per_epoch
    schedule = periods.in_updates(experiment.period, steps_per_epoch)
    for period in schedule.values.values():
        common = math.gcd(common, int(period))
    recipe = recipes.get(experiment.method)
    for steps in recipe.steps_between(experiment):
        common = math.gcd(common, steps)
    if experiment.checkpoint_every_steps:
        common = math.gcd(common, experiment.checkpoint_every_steps)
    return max(
        n for n in range(1, _MAX_STEPS_PER_EXECUTION + 1) if common % n == 0
    )


def checked_callback(
    experiment: Any,
    model: keras.Model,
    steps_per_epoch: int,
    listener: Callable | None = None,
    data: AnyData | None = None,
) -> Any:
    """The callback that moves or prunes weights, None if none does.

    Args:
        experiment: The `Experiment`, or the same that remembers what it is
            asked for, `Asked`.
        model: The compiled model.
        steps_per_epoch: Number of updates in an epoch.
        listener: Function that receives the `Record` of each change.
        data: The data set, which some methods look at.

    Raises:
        UsageError: if a setting does not fit the model.
    """
    recipe = recipes.get(experiment.method)
    values, otherwise = experiment.flag_values(), "method"
    if recipe.named_flag:
        otherwise = recipe.named_flag
        values = {otherwise: values[otherwise]}
    with naming_flags(values, otherwise):
        callback = recipe.callback(
            experiment,
            model,
            steps_per_epoch,
            listener,
            functools.partial(plain_batches, experiment, data)
            if data is not None
            else None,
        )
        if callback is not None:
            callback.check(model)
    return callback
