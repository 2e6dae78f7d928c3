"""One network of `python -m dsr_tf.benchmark --storage`, and its training."""

import dataclasses
import functools
import pathlib
import tempfile
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from dsr_tf import callbacks
from dsr_tf import methods
from dsr_tf.commands.benchmark_layers import KINDS

# What `clock` names. That of the processor does not see a GPU, and what else
# runs on the machine does not disturb it.
CLOCKS: dict[str, Callable[[], float]] = {
    "cpu": time.process_time,
    "wall": time.perf_counter,
}
# Of single weights; all others store blocks.
_OF_ELEMENTS = ("masked", "lists")


@dataclasses.dataclass(frozen=True)
class Setting:
    """What all networks of a benchmark share.

    Attributes:
        widths: Units of the layers, the inputs first.
        block: Largest side of blocks.
        batch_size: Examples of a step.
        policy: Name of a Keras dtype policy.
        steps_per_execution: Steps in one call of the training function.
        clock: Name of one of `CLOCKS`.
        layers: What the hidden layers are, a key of `KINDS`.
        size: Height and width of images, see `--size`.
    """

    widths: list[int]
    block: int = 32
    batch_size: int = 128
    policy: str = "float32"
    steps_per_execution: int = 1
    clock: str = "cpu"
    layers: str = "Dense"
    size: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """That of an example."""
        return (*KINDS[self.layers].positions(self.size), self.widths[0])


@dataclasses.dataclass
class Arm:
    """One network.

    Attributes:
        name: What to call it.
        setting: What it shares with others.
        storage: Name of its storage; None for dense.
        density: Active share of the hidden layers.
        milliseconds: Time of a step, of each round.
    """

    name: str
    setting: Setting
    storage: str | None = None
    density: float = 1.0
    milliseconds: list[float] = dataclasses.field(default_factory=list)

    def model(self) -> keras.Model:
        """The network, compiled."""
        widths, policy = self.setting.widths, self.setting.policy
        layer = KINDS[self.setting.layers].layer
        inputs = x = keras.Input(self.setting.shape)
        for seed, units in enumerate(widths[1:-1]):
            x = layer(units, self._sparse(seed), dtype=policy)(x)
        if len(self.setting.shape) > 1:
            x = keras.ops.mean(x, axis=tuple(range(1, x.ndim - 1)))
        outputs = keras.layers.Dense(widths[-1], dtype=policy)(x)
        model = keras.Model(inputs, outputs)
        model.compile(
            keras.optimizers.SGD(0.01, momentum=0.9),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            steps_per_execution=self.setting.steps_per_execution,
        )
        return model

    def _sparse(self, seed: int) -> dict[str, Any]:
        """Arguments of a sparse layer; none if they are dense."""
        if self.storage is None:
            return {}
        of_elements = self.storage in _OF_ELEMENTS
        block = f"block:{self.setting.block}"
        return {
            "sparsity": 1 - self.density,
            "granularity": "element" if of_elements else block,
            "seed": seed,
            "storage": self.storage,
        }

    def fit(
        self,
        model: keras.Model,
        steps: int,
        *callbacks: Any,
        num_rounds: int = 1,
    ) -> None:
        """Train for rounds of so many steps."""
        setting = self.setting
        number = steps * setting.batch_size
        model.fit(
            *_made_up(number, setting.shape, setting.widths[-1]),
            batch_size=setting.batch_size,
            epochs=num_rounds,
            shuffle=False,
            verbose=0,
            callbacks=list(callbacks),
        )


@functools.lru_cache(maxsize=1)
def _made_up(
    number: int, shape: tuple[int, ...], num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """So many examples and targets: for all networks the same, made once."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((number, *shape), "float32")
    return x, generator.integers(0, num_classes, number)


class Training:
    """A network that is trained for a round at a time.

    Args:
        arm: The network.
        steps: Steps of a round, with one reallocation by SET, which moves
            its share whatever weights are: those here hardly learn.
    """

    def __init__(self, arm: Arm, steps: int) -> None:
        self._arm, self._steps, self._model = arm, steps, arm.model()
        self._epoch = _Epoch(CLOCKS[arm.setting.clock])
        self._callbacks: list[Any] = [self._epoch]
        if arm.storage is not None:
            self._callbacks.append(
                callbacks.Reallocation(
                    methods.SET(fraction=0.1), period=steps, seed=0
                )
            )

    def warm_up(self) -> None:
        """Compile the steps, and what a reallocation needs: it is due as a
        round begins, but the first of all."""
        self._arm.fit(self._model, self._steps, *self._callbacks, num_rounds=2)

    def round(self) -> float:
        """Milliseconds of a step."""
        self._arm.fit(self._model, self._steps, *self._callbacks)
        return 1e3 * self._epoch.seconds / self._steps

    def file_bytes(self) -> int:
        """Bytes of the .keras file."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model.keras"
            self._model.save(path)
            return path.stat().st_size


class _Epoch(keras.callbacks.Callback):
    """How long an epoch took, without what `fit` sets up before it."""

    seconds = 0.0

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._start = self._clock()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        # Its logs are numbers, so a GPU has done all of the steps.
        self.seconds = self._clock() - self._start
