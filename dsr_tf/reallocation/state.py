"""What a reallocation must remember, kept in a variable of the model.

The model's first masked layer holds it, so every way of saving a model or
its weights saves it too, and a resumed run goes on as if never stopped. The
last number of the variable belongs to each layer itself.
"""

import dataclasses

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


_FIELDS = dataclasses.fields(ReallocationState)
_INDEX = {field.name: i for i, field in enumerate(_FIELDS)}
LAYER_COUNT = STATE_SIZE - 1


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
