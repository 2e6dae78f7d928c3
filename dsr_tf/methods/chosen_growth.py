"""Methods that leave open which weights grow, at random or by gradients."""

from typing import cast

import keras
import numpy as np

from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.methods import grow
from dsr_tf.methods.gradient_gate import GradientGate
from dsr_tf.methods.hook import InStepHook
from dsr_tf.methods.method import KernelView
from dsr_tf.methods.method import Method


class ChosenGrowth(Method):
    """Grows by the rule whose name is `growth`, an attribute of the method.

    `"random"`: any weights; `"alive"`: at random among those that a gradient
    reaches in the step before; `"gradient"`: those of the largest gradients
    there, as in RigL; `"half"`: half so, and half at random.
    """

    growth: str

    def check_growth(self) -> None:
        """Refuse a name that is none of these.

        Raises:
            ValueError: with the names.
        """
        if self.growth not in tuple(grow.SCORES):
            raise ValueError(
                f"`growth` must be one of {', '.join(grow.SCORES)}. Received: "
                f"growth={self.growth!r}"
            )

    @property
    def reads_momentum(self) -> bool:
        """Whether it needs the mean of gradients of active weights."""
        return False

    @property
    def reads_gradients(self) -> bool:
        """Whether it needs those of the step before a reallocation."""
        return self.growth != grow.RANDOM or self.reads_momentum

    @property
    def dense_gradients(self) -> str:  # type: ignore[override]
        return "before" if self.reads_gradients else "never"

    @property
    def gradient_share(self) -> float:  # type: ignore[override]
        return {grow.RANDOM: 0.0, grow.HALF: 0.5}.get(self.growth, 1.0)

    @property
    def draws_alive(self) -> bool:  # type: ignore[override]
        return self.growth == grow.ALIVE

    def in_step(
        self, masked: list[MaskedWeight], trained: keras.Model
    ) -> InStepHook:
        if not self.reads_gradients:
            return super().in_step(masked, trained)
        gate = GradientGate(self, masked, trained, every_step=False)
        gate.needs_momentum = self.reads_momentum
        return gate

    def grow(
        self,
        kernel: KernelView,
        num_grown_groups: int,
        generator: np.random.Generator,
    ) -> np.ndarray:
        scores = grow.SCORES[self.growth]
        if scores is None:
            return super().grow(kernel, num_grown_groups, generator)
        # A `GradientGate` has let them through.
        gradients = cast(np.ndarray, kernel.free_gradients)
        if self.growth == grow.ALIVE and kernel.bundles is None:
            return grow.at_random_alive(gradients, num_grown_groups, generator)
        return kernel.largest(
            scores(gradients, num_grown_groups, generator), num_grown_groups
        )
