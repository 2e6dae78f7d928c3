"""What `dsr_tf.benchmark` measures: a network, trained in rounds."""

import dataclasses
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from dsr_tf import recipes
from dsr_tf.command_line import RunError
from dsr_tf.core import period as periods
from dsr_tf.core.schedule import Schedule
from dsr_tf.data.streaming import AnyData
from dsr_tf.layers.storages import MASKED
from dsr_tf.reallocation.record import Record
from dsr_tf.training import build
from dsr_tf.training import checkpoint
from dsr_tf.training import networks
from dsr_tf.training.experiment import Experiment

# Rounds before those that count.
MOST_WARM_UPS = 2


class Arm:
    """One network, trained for a round at a time.

    Args:
        experiment: The `Experiment` that the flags describe.
        name: What to call it.
        recipe: Its recipe.
        saves: Whether each round ends with a checkpoint.
        data: The data set.
        steps: Number of steps in a round.
        period: Number of steps between reallocations.

    Attributes:
        seconds: Of each round.
        moves: Seconds of each reallocation.
    """

    def __init__(
        self,
        experiment: Experiment,
        name: str,
        recipe: recipes.Recipe,
        saves: bool,
        data: AnyData,
        steps: int,
        period: int,
    ) -> None:
        self.name, self.recipe, self.steps = name, recipe, steps
        self.seconds: list[float] = []
        self.moves: list[float] = []
        self.experiment = dataclasses.replace(
            experiment,
            method=recipe.name,
            # All networks are of the same layers; `benchmark_storage`
            # measures others.
            storage=MASKED,
            slack=None,
            period=Schedule(period, integer=True),
        )
        self.steps_per_epoch = build.steps_per_epoch(self.experiment, data)
        self._schedule = periods.in_updates(
            experiment.period, self.steps_per_epoch
        )
        build.prepare_keras(experiment)
        self._model = networks.build_model(
            self.experiment, data.image_shape, data.num_classes
        )
        build.compile_model(self._model, self.experiment, steps)
        self._reallocation = build.checked_callback(
            self.experiment, self._model, self.steps_per_epoch, data=data
        )
        self._folder = tempfile.TemporaryDirectory() if saves else None
        self._clock = Clock(self._reallocation, self._save)
        self._batches = build.train_batches(self.experiment, data)

    def _save(self) -> None:
        if self._folder is not None:
            step = int(ops.convert_to_numpy(self._model.optimizer.iterations))
            checkpoint.save(self._folder.name, self._model, step, {})

    def begin(self) -> None:
        """Begin the training that all rounds are parts of.

        What a reallocation at the first step of a round needs of the step
        before it, the last of another round, is there then.
        """
        if self._reallocation is not None:
            self._reallocation.begin()

    def end(self) -> None:
        """End it."""
        if self._reallocation is not None:
            self._reallocation.end()

    def fit(self) -> tuple[float, list[float]]:
        """Train for a round.

        Returns:
            Seconds of the round, and a list of those of its reallocations.
        """
        self._model.fit(
            self._batches,
            epochs=1,
            steps_per_epoch=self.steps,
            callbacks=[self._clock],
            shuffle=False,
            verbose=0,
        )
        return self._clock.seconds, self._clock.moves

    def warm_up(self) -> None:
        """Train until all has been compiled: a reallocation too, which is
        when it first happens."""
        moves = self.fit()[1]
        # The first round begins with step 0, at which none is due.
        if moves_weights(self.recipe) and not moves:
            moves = self.fit()[1]
        self._check(moves)

    def measure(self) -> None:
        """Train for a round that counts."""
        seconds, moves = self.fit()
        self._check(moves)
        self.seconds.append(seconds)
        self.moves += moves

    def _check(self, moves: list[float]) -> None:
        if moves_weights(self.recipe) and not moves:
            raise RunError(
                f"{self.name}: no weights have moved in a round of "
                f"{self.steps} steps, so there is nothing to measure; see "
                "--period and --stop_epoch"
            )

    def added(self, static: float) -> float:
        """What reallocation adds to the time of the whole schedule.

        Args:
            static: Seconds of a round without.
        """
        stop = end = self.experiment.epochs
        if self.experiment.stop_epoch is not None:
            stop = min(end, self.experiment.stop_epoch)
        per_epoch = static * self.steps_per_epoch / self.steps
        starts = [epoch for epoch in self._schedule.values if epoch < stop]
        moves = sum(
            (after - epoch) * self.steps_per_epoch / self._schedule(epoch)
            for epoch, after in zip(starts, [*starts[1:], stop])
        )
        total = end * per_epoch
        return moves * statistics.median(self.moves) / total


def moves_weights(recipe: recipes.Recipe) -> bool:
    """Whether weights move every --period."""
    return (
        isinstance(recipe, recipes.Reallocating) and recipe.method.moves_weights
    )


def round_steps(period: int, steps_per_epoch: int) -> int:
    """Steps of the least number of epochs that holds a reallocation."""
    return steps_per_epoch * math.ceil(period / steps_per_epoch)


def measure(arms: Sequence[Arm], rounds: int) -> None:
    """Train all networks, a round of each in turn."""
    for arm in arms:
        arm.begin()
        arm.warm_up()
    for number in range(rounds):
        # Every other round in reverse: a drift of the machine cancels.
        for arm in arms if number % 2 else reversed(arms):
            arm.measure()
    for arm in arms:
        arm.end()


class Clock(keras.callbacks.Callback):
    """Times a round, without what `fit` sets up before it, and all that the
    callback of the method does between steps; the round ends with `save`."""

    def __init__(self, reallocation: Any, save: Callable[[], None]) -> None:
        super().__init__()
        self._reallocation, self._save = reallocation, save

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        if self._reallocation is not None:
            self._reallocation.set_model(model)
            self._reallocation.listener = self._count

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._pass_on("on_train_begin")

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._pass_on("on_train_end")

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self.moves: list[float] = []
        self._moved = False
        self._start = time.perf_counter()
        self._pass_on("on_epoch_begin", epoch)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._pass_on("on_epoch_end", epoch)
        self._save()
        self.seconds = time.perf_counter() - self._start

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        start = time.perf_counter()
        self._pass_on("on_train_batch_begin", batch)
        if self._moved:
            self.moves.append(time.perf_counter() - start)
            self._moved = False

    def _count(self, record: Record) -> None:
        self._moved = True

    def _pass_on(self, name: str, *arguments: Any) -> None:
        if self._reallocation is not None:
            getattr(self._reallocation, name)(*arguments)
