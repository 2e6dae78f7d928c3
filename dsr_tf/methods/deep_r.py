"""DeepR: rewiring by a random walk with fixed signs."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any
from typing import Self

import keras
import numpy as np

from dsr_tf.core.checks import is_number
from dsr_tf.core.schedule import Schedule
from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.methods import prune
from dsr_tf.methods.hook import InStepHook
from dsr_tf.methods.method import KernelView
from dsr_tf.methods.method import Method


@dataclasses.dataclass(frozen=True)
class DeepR(Method):
    """Deep rewiring (Bellec et al., ICLR 2018).

    Each active weight has a sign that it keeps. After every update, it is
    moved by `sqrt(2 * learning_rate * temperature)` times a normal number
    and by `learning_rate * l1` towards 0; where that takes it through 0 it
    is pruned, and a free position of the same kernel, drawn at random with
    a random sign, takes its place. So every kernel keeps its number of
    active weights. All of it happens on the device, in the compiled step:
    a callback's period only says how often the moves are counted and
    reported. Needs element granularity and the TensorFlow backend.

    The noise is added to the weights, as published. (The DSR authors' code
    adds it to the gradient, so that there the learning rate and the
    momentum scale it; and it takes the signs before the weights are drawn,
    so that half of them flip in the first step.)

    Args:
        temperature: T, strength of the noise: a number of at least 0, or a
            schedule `{first_epoch: positive number}`.
        l1: alpha, the pull towards 0, at least 0. A penalty of the layers'
            own (`kernel_regularizer`) works as well.

    Raises:
        ValueError: if an argument is out of range.
    """

    temperature: float | Mapping[int, float] | str | Schedule = 0.0
    l1: float = 0.0

    flag_name = "deep_r"
    moves_in_step = True

    @classmethod
    def from_settings(
        cls, settings: Any, num_active: int, steps_per_epoch: int
    ) -> Self:
        return cls(settings.temperature.values)

    def __post_init__(self) -> None:
        if not is_number(self.temperature) or self.temperature != 0:
            Schedule(self.temperature, "temperature")
        if not is_number(self.l1) or not 0 <= self.l1 < math.inf:
            raise ValueError(
                f"`l1` must be a number of at least 0. Received: l1={self.l1!r}"
            )

    def temperature_at(self, epoch: int) -> float:
        """T at `epoch`."""
        if self.temperature == 0:
            return 0.0
        return Schedule(self.temperature, "temperature")(epoch)

    def in_step(
        self, masked: list[MaskedWeight], trained: keras.Model
    ) -> InStepHook:
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                "DeepR moves weights inside of the training step, which works "
                "on Keras' TensorFlow backend only. Received: backend "
                f"{keras.backend.backend()}"
            )
        # TensorFlow's alone, which other backends do without.
        from dsr_tf.methods.in_graph.sign_walk import SignWalk

        return SignWalk(self, masked, trained)

    def prune(
        self, kernels: list[KernelView], state: Any, step: int
    ) -> list[np.ndarray]:
        # Between steps nothing is left to do.
        return [prune.none(kernel.scores) for kernel in kernels]
