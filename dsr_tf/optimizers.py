"""The optimizer of the paper, and Keras' own with small slots in files."""

from typing import Any

import keras
from keras import ops

from dsr_tf.core import sparse_arrays


class SparseSlots:
    """Mixin for an optimizer whose slots take little room in files.

    The slots of inactive weights are zeros, of which Keras' own optimizers
    write every one: with momentum, nine tenths of what a file of a network
    with a tenth of its weights holds. It must come before the Keras
    optimizer among the bases. Files that Keras' own optimizer of the same
    name has written load as well.
    """

    # Of the Keras optimizer.
    variables: list[Any]

    def save_own_variables(self, store: Any) -> None:
        variables: dict[str, Any] = {}
        super().save_own_variables(variables)  # type: ignore[misc]
        for name, value in variables.items():
            sparse_arrays.put(store, name, value)

    def load_own_variables(self, store: Any) -> None:
        found: dict[str, Any] = dict.fromkeys(sparse_arrays.names(store))
        # Keras warns, and leaves the state, where their numbers differ.
        if len(found) == len(self.variables):
            for number, variable in enumerate(self.variables):
                name = str(number)
                found[name] = sparse_arrays.get(store, name, variable.shape)
        super().load_own_variables(found)  # type: ignore[misc]


@keras.saving.register_keras_serializable(package="dsr_tf")
class SGD(SparseSlots, keras.optimizers.SGD):
    """`keras.optimizers.SGD` with L2 in the gradient, as PyTorch's.

    Every trainable variable, biases and scales too, is pulled to 0 by the
    gradient `l2 * w` of the penalty `l2 / 2 * sum(w**2)`, which passes
    through the momentum. (Keras' own `weight_decay` acts beside the gradient
    and a penalty in the layers costs a sum over every variable.) An inactive
    weight is 0 and has no such gradient.

    Args:
        learning_rate: Number or schedule.
        momentum: Number in [0, 1).
        nesterov: Whether the momentum is Nesterov's.
        l2: Number of at least 0.
        **kwargs: Any other argument of `keras.optimizers.SGD`.

    Raises:
        ValueError: if `l2` is negative.
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        l2: float = 0.0,
        **kwargs: Any,
    ) -> None:
        if not l2 >= 0:
            raise ValueError(
                f"`l2` must be a number of at least 0. Received: l2={l2!r}"
            )
        super().__init__(
            learning_rate=learning_rate,
            momentum=momentum,
            nesterov=nesterov,
            **kwargs,
        )
        self.l2 = l2

    def update_step(
        self, gradient: Any, variable: Any, learning_rate: Any
    ) -> None:
        if self.l2:
            gradient = gradient + ops.cast(self.l2, gradient.dtype) * ops.cast(
                variable, gradient.dtype
            )
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "l2": self.l2}


def _with_sparse_slots(kind: type) -> Any:
    """The class of a Keras optimizer, with `SparseSlots`, registered."""
    description = (
        f"`keras.optimizers.{kind.__name__}` whose slots take little room in "
        "files, see `SparseSlots`."
    )
    body = {"__doc__": description, "__module__": __name__}
    made = type(kind.__name__, (SparseSlots, kind), body)
    return keras.saving.register_keras_serializable(package="dsr_tf")(made)


Adagrad = _with_sparse_slots(keras.optimizers.Adagrad)
Adam = _with_sparse_slots(keras.optimizers.Adam)
AdamW = _with_sparse_slots(keras.optimizers.AdamW)
Adamax = _with_sparse_slots(keras.optimizers.Adamax)
Lion = _with_sparse_slots(keras.optimizers.Lion)
Nadam = _with_sparse_slots(keras.optimizers.Nadam)
RMSprop = _with_sparse_slots(keras.optimizers.RMSprop)


@keras.saving.register_keras_serializable(package="dsr_tf")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that grows from 0 to another one in its first steps.

    Args:
        schedule: The other one, or a number.
        num_steps: Steps of growth; the last of them is at full rate.
    """

    def __init__(self, schedule: Any, num_steps: int) -> None:
        self.schedule, self.num_steps = schedule, num_steps

    def __call__(self, step: Any) -> Any:
        rate = self.schedule
        if callable(rate):
            rate = rate(step)
        done = (ops.cast(step, "float32") + 1) / self.num_steps
        return rate * ops.minimum(1.0, done)

    def get_config(self) -> dict[str, Any]:
        return {
            "schedule": keras.saving.serialize_keras_object(self.schedule)
            if callable(self.schedule)
            else self.schedule,
            "num_steps": self.num_steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "WarmUp":
        schedule = config["schedule"]
        if isinstance(schedule, dict):
            schedule = keras.saving.deserialize_keras_object(schedule)
        return cls(schedule, config["num_steps"])
