"""The settings of growth and pruning; what the paper leaves open is one."""

import dataclasses

from dsr_tf.core.checks import is_integer
from dsr_tf.core.checks import is_number
from dsr_tf.layers.kept_state import KeepsIntegers

ZERO, GRADIENT = "zero", "gradient"


@dataclasses.dataclass(frozen=True)
class GrowthHyperparameters(KeepsIntegers):
    """Settings of `GrowAndPrune`; defaults that are the paper's say so.

    Args:
        frequency: Updates between two changes.
        grow_steps: Changes that grow, which come first.
        grow_share: Share of a kernel's dormant connections that wake in
            each of them (policy 1), in [0, 1).
        initial_value: What a connection of policy 1 starts from: `"zero"`, or
            `"gradient"` for `-learning_rate * gradient`.
        neurons: Units of each fully connected hidden layer that wake in each
            of them (policy 2).
        neuron_pairs: beta, the share of pairs of an input and an output that
            a new unit connects, in (0, 1).
        birth_strength: alpha, the mean magnitude of a new unit's weights in
            that of the layer's; above 0.3 in the paper.
        feature_maps: Channels of each convolution that wake in each of them
            (policy 3).
        candidates: How many kernels are drawn for one of them.
        prune_share: Share of a kernel's active weights that goes in each
            change after those (policy 4), in (0, 1); 0.01 in the paper.
        target: The metric must be as high for pruning to go on; None for
            whatever it is. The paper's are 98.7 % of MNIST for LeNet-300-100
            and 99.2 % for LeNet-5.
        patience: How many changes in a row may fall away, for training to
            reach the target again, before pruning ends.
        budget: Pruning ends once no more weights than these are active; the
            last one takes a smaller share, so as to leave as many. None for
            no such end.
        end: First update without pruning; None for no end.

    Raises:
        ValueError: if an argument is out of range.
    """

    # What the model keeps from one change to the next, beside the seed.
    state_names = ("num_growths", "num_misses", "is_over")

    frequency: int = 100
    grow_steps: int = 10
    grow_share: float = 0.05
    initial_value: str = ZERO
    neurons: int = 1
    neuron_pairs: float = 0.01
    birth_strength: float = 0.5
    feature_maps: int = 0
    candidates: int = 4
    prune_share: float = 0.01
    target: float | None = None
    patience: int = 3
    budget: int | None = None
    end: int | None = None

    def __post_init__(self) -> None:
        for name, least in (
            ("frequency", 1),
            ("grow_steps", 0),
            ("neurons", 0),
            ("feature_maps", 0),
            ("candidates", 1),
            ("patience", 0),
            ("budget", 1),
            ("end", 1),
        ):
            value = getattr(self, name)
            if value is None and name in ("budget", "end"):
                continue
            if not is_integer(value) or value < least:
                self._refuse(name, f"an integer of at least {least}")
        if not is_number(self.grow_share) or not 0 <= self.grow_share < 1:
            self._refuse("grow_share", "a number in [0, 1)")
        for name in ("neuron_pairs", "prune_share"):
            value = getattr(self, name)
            if not is_number(value) or not 0 < value < 1:
                self._refuse(name, "a number in (0, 1)")
        strength = self.birth_strength
        if not is_number(strength) or not strength > 0:
            self._refuse("birth_strength", "a positive number")
        if self.target is not None and not is_number(self.target):
            self._refuse("target", "None or a number")
        if self.initial_value not in (ZERO, GRADIENT):
            self._refuse("initial_value", f"{ZERO!r} or {GRADIENT!r}")

    def due(self, step: int) -> int:
        """The last update up to `step` at which a change is due."""
        return step // self.frequency * self.frequency

    def _refuse(self, name: str, accepted: str) -> None:
        raise ValueError(
            f"`{name}` must be {accepted}. Received: "
            f"{name}={getattr(self, name)!r}"
        )
