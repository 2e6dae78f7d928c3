"""What a reallocation must remember, kept in a variable of the model.

The model's first masked layer holds it, so every way of saving a model or
its weights saves it too, and a resumed run goes on as if never stopped.
"""

import dataclasses

import numpy as np
from keras import ops

from dsr_tf.layers.masked import STATE_SIZE


@dataclasses.dataclass
class ReallocationState:
    """State that passes from one reallocation to the next.

    Attributes:
        num_reallocations: Reallocations so far; random draws count by it.
        last_step: `optimizer.iterations` at the last of them, or when
            training with reallocation began.
        threshold_exponent: e, where the threshold is `initial * 2**e`.
        carry: Weights of the budget that no group was small enough for.
        seed: What random draws depend on; None before training began.
    """

    num_reallocations: int = 0
    last_step: int = 0
    threshold_exponent: int = 0
    carry: int = 0
    seed: int | None = None

    @classmethod
    def read(cls, masked):
        """The state of the model whose masked weights are `masked`."""
        values = ops.convert_to_numpy(masked[0].layer.reallocation_state)
        *numbers, seed = (int(v) for v in values[: len(_FIELDS)])
        # A fresh variable is all zeros, so seeds are stored plus one.
        return cls(*numbers, seed=None if seed == 0 else seed - 1)

    def write(self, masked):
        """Store the state in the model."""
        values = np.zeros(STATE_SIZE, "int32")
        numbers = dataclasses.astuple(self)[:-1]
        seed = 0 if self.seed is None else self.seed + 1
        values[: len(_FIELDS)] = (*numbers, seed)
        masked[0].layer.reallocation_state.assign(values)


_FIELDS = dataclasses.fields(ReallocationState)
