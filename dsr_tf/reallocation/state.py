"""What a reallocation must remember, kept in variables of the model.

The model's first masked layer holds it, so every way of saving a model or
its weights saves it too, and a resumed run goes on as if never stopped.
"""

import collections
import dataclasses
from typing import Self

import keras
import numpy as np
from keras import ops

from dsr_tf.layers.kept_state import KeepsIntegers
from dsr_tf.layers.kept_state import owner_number
from dsr_tf.layers.masked_weights import MaskedWeight

# Of a method, beside the number that says whose they are.
MAX_NAMES = 3


@dataclasses.dataclass
class ReallocationState:
    """State that passes from one reallocation to the next.

    Attributes:
        seed: What random draws depend on; None before training began.
        num_reallocations: Reallocations so far; random draws count by it.
        last_step: `optimizer.iterations` at the last of them, or when
            training with reallocation began.
        carry: Weights of the budget that no group was small enough for.
        method_state: Integers that the method keeps, by the names in its
            `state_names`, 0 at the start; those of another method are
            not seen.
    """

    seed: int | None = None
    num_reallocations: int = 0
    last_step: int = 0
    carry: int = 0
    method_state: dict[str, int] = dataclasses.field(
        default_factory=lambda: collections.defaultdict(int)
    )
    _method: KeepsIntegers | None = None

    @classmethod
    def read(
        cls, masked: list[MaskedWeight], method: KeepsIntegers | None = None
    ) -> Self:
        """The state of a model.

        Args:
            masked: List of the `MaskedWeight` of the model.
            method: The method whose `method_state` is wanted too.

        Raises:
            ValueError: if the method wants to keep too many numbers.
        """
        layer = masked[0].layer
        seed, count, last_step, carry = _integers(layer.reallocation)
        # A fresh variable is all zeros, so seeds are stored plus one.
        state = cls(None if seed == 0 else seed - 1, count, last_step, carry)
        if method is not None and method.state_names:
            check_names(method)
            state._method = method
            owner, *values = _integers(layer.method_state)
            if owner == _number_of(method):
                state.method_state.update(zip(method.state_names, values))
        return state

    def write(self, masked: list[MaskedWeight]) -> None:
        """Store the state in the model."""
        layer = masked[0].layer
        seed = 0 if self.seed is None else self.seed + 1
        layer.reallocation.assign(
            [seed, self.num_reallocations, self.last_step, self.carry]
        )
        if self._method is not None:
            values = np.zeros(layer.method_state.shape, "int64")
            names = self._method.state_names
            own = [self.method_state[name] for name in names]
            # As wide as integers are on every backend.
            if not all(-(2**31) <= number < 2**31 for number in own):
                raise ValueError(
                    f"{type(self._method).__name__} may keep integers of 32 "
                    "bits in `method_state`. Received: "
                    f"method_state={dict(zip(names, own))}"
                )
            values[: 1 + len(own)] = [_number_of(self._method), *own]
            layer.method_state.assign(values)


def check_names(method: KeepsIntegers) -> None:
    """Refuse a method that keeps more numbers than there is room for.

    Raises:
        ValueError: with their names.
    """
    if len(method.state_names) > MAX_NAMES:
        raise ValueError(
            f"A method may keep up to {MAX_NAMES} integers. Received: "
            f"state_names={method.state_names} of {type(method).__name__}"
        )


def _number_of(method: KeepsIntegers) -> int:
    return owner_number(type(method).__name__)


def _integers(variable: keras.Variable) -> list[int]:
    return [int(value) for value in ops.convert_to_numpy(variable)]
