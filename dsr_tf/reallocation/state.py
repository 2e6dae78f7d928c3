"""What a reallocation must remember, kept in a variable of the model.

The model's first masked layer holds it, so every way of saving a model or
its weights saves it too, and a resumed run goes on as if never stopped. The
last number of the variable belongs to each layer itself.
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
        open_from: First step of the window in which a method acts inside of
            the compiled training step (see `dense_gradient`, `sign_flips`).
        open_until: First step after that window.
        seed: What random draws depend on; None before training began.
    """

    num_reallocations: int = 0
    last_step: int = 0
    threshold_exponent: int = 0
    carry: int = 0
    open_from: int = 0
    open_until: int = 0
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
        variable = masked[0].layer.reallocation_state
        values = ops.convert_to_numpy(variable).copy()
        numbers = dataclasses.astuple(self)[:-1]
        seed = 0 if self.seed is None else self.seed + 1
        values[: len(_FIELDS)] = (*numbers, seed)
        variable.assign(values)

    def close_window(self, masked):
        """Let training be as if no method acted inside of the step."""
        if self.open_until:
            self.open_from = self.open_until = 0
            self.write(masked)


_FIELDS = dataclasses.fields(ReallocationState)
_INDEX = {field.name: i for i, field in enumerate(_FIELDS)}
LAYER_COUNT = STATE_SIZE - 1


class LayerCount:
    """The number of the state variable that belongs to each layer itself.

    DeepR counts moves there, from 0 up, in the graph; gradual pruning with
    a decaying threshold keeps that there, as a negative number (`-1` less
    the bits of a float32), so that neither takes the other's for its own.

    Args:
        weight: A `MaskedWeight`.
    """

    def __init__(self, weight):
        self._variable = weight.layer.reallocation_state

    def read(self):
        """The number, an int."""
        return int(ops.convert_to_numpy(self._variable)[LAYER_COUNT])

    def write(self, number):
        """Store an int."""
        values = ops.convert_to_numpy(self._variable).copy()
        values[LAYER_COUNT] = number
        self._variable.assign(values)

    def read_threshold(self):
        """The threshold, a float32; 0 where none has been stored."""
        number = self.read()
        # Files of before hold the bits as they are.
        bits = -1 - number if number < 0 else number
        if 0 < number < _SMALLEST_NORMAL:
            return np.float32(0)  # A count of moves.
        return np.int32(bits).view("float32")

    def write_threshold(self, threshold):
        """Store a float32 of at least 0."""
        self.write(-1 - int(np.float32(threshold).view("int32")))


# The bits of the smallest float32 that is a normal number, 1.2e-38.
_SMALLEST_NORMAL = 2**23


def window_is_open(variable, step):
    """Whether `step` is in the window, as a tensor inside of a graph.

    Args:
        variable: The state variable of the first masked layer.
        step: Tensor or variable, number of updates so far.
    """
    values = ops.convert_to_tensor(variable)
    step = ops.cast(step, values.dtype)
    return ops.logical_and(
        step >= values[_INDEX["open_from"]],
        step < values[_INDEX["open_until"]],
    )


def window_is_there(variable):
    """Whether there is a window at all, as a tensor inside of a graph."""
    values = ops.convert_to_tensor(variable)
    return values[_INDEX["open_until"]] > values[_INDEX["open_from"]]


def seed_in_graph(variable):
    """The stored seed as a tensor."""
    return ops.convert_to_tensor(variable)[_INDEX["seed"]]
