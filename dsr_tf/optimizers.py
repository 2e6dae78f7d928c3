"""The optimizer of the paper, and Keras' own with small slots in files."""

import re
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Self

import keras
from keras import ops

from dsr_tf.core import sparse_arrays
from dsr_tf.proximal import Rule


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
    """`keras.optimizers.SGD` with L2 in the gradient, and proximal steps.

    Every trainable variable, biases and scales too, is pulled to 0 by the
    gradient `l2 * w` of the penalty `l2 / 2 * sum(w**2)`, which passes
    through the momentum, as in PyTorch. (Keras' own `weight_decay` acts
    beside the gradient and a penalty in the layers costs a sum over every
    variable.) An inactive weight is 0 and has no such gradient.

    A penalty that is to make weights exactly 0 is no gradient but a step of
    its own, after that of the gradient and before the momentum: with
    Nesterov's, the accelerated proximal gradient of Huang & Wang (2017,
    arXiv 1707.01213, section 3.3), as in the authors' code,

        z = rule(w - learning_rate * gradient)
        velocity = momentum * velocity + z - w
        w = z + momentum * velocity

    and with `non_negative`, then `w = max(w, 0)`. (Without that, momentum
    that is not Nesterov's carries weights past 0 for a while.) Neither `l2`
    nor `weight_decay` acts on such variables.

    Args:
        learning_rate: Number or schedule.
        momentum: Number in [0, 1).
        nesterov: Whether the momentum is Nesterov's.
        l2: Number of at least 0.
        proximal: Dict from regular expressions to `SoftThreshold` or
            `GroupSoftThreshold` of `dsr_tf.proximal`. An expression is
            searched for in the paths of variables, such as `"conv1/kernel"`;
            the first that is found counts.
        **kwargs: Any other argument of `keras.optimizers.SGD`.

    Raises:
        ValueError: if `l2` is negative, or `proximal` no such dict; when it
            is built, if an expression is found in no path, or a rule does
            not fit a variable.
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        l2: float = 0.0,
        proximal: Mapping[str, Rule] | None = None,
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
        self.proximal = _checked_rules(proximal or {})
        # By the index of a variable.
        self._rules: dict[int, Rule] = {}

    def build(self, variables: Any) -> None:
        if not self.built:
            self._rules = _rules_of(variables, self.proximal)
        super().build(variables)

    def update_step(
        self, gradient: Any, variable: Any, learning_rate: Any
    ) -> None:
        rule = self._rule_of(variable)
        if rule is not None:
            self._proximal_step(rule, gradient, variable, learning_rate)
            return
        if self.l2:
            gradient = gradient + ops.cast(self.l2, gradient.dtype) * ops.cast(
                variable, gradient.dtype
            )
        super().update_step(gradient, variable, learning_rate)

    def _rule_of(self, variable: Any) -> Rule | None:
        # What an update gets may be the backend's variable, without a path.
        if not self._rules:
            return None
        return self._rules.get(self._get_variable_index(variable))

    def _proximal_step(
        self, rule: Rule, gradient: Any, variable: Any, learning_rate: Any
    ) -> None:
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(ops.convert_to_tensor(gradient), variable.dtype)
        before = ops.convert_to_tensor(variable)
        after = rule(before - rate * gradient, rate)
        if self.momentum:
            slot = self.momentums[self._get_variable_index(variable)]
            momentum = ops.cast(self.momentum, variable.dtype)
            carried = ops.multiply(momentum, slot)
            velocity = carried + (after - before)
            self.assign(slot, velocity)
            after += momentum * velocity if self.nesterov else carried
        self.assign(variable, rule.after(after))

    def _use_weight_decay(self, variable: Any) -> bool:
        is_plain = self._rule_of(variable) is None
        return is_plain and super()._use_weight_decay(variable)

    def get_config(self) -> dict[str, Any]:
        rules = {
            expression: keras.saving.serialize_keras_object(rule)
            for expression, rule in self.proximal.items()
        }
        return {**super().get_config(), "l2": self.l2, "proximal": rules}

    @classmethod
    def from_config(cls, config: dict[str, Any], *args: Any) -> Self:
        rules = {
            expression: keras.saving.deserialize_keras_object(rule)
            for expression, rule in (config.get("proximal") or {}).items()
        }
        return super().from_config({**config, "proximal": rules}, *args)


def _checked_rules(proximal: Mapping[str, Rule]) -> dict[str, Rule]:
    try:
        for expression, rule in proximal.items():
            re.compile(expression)
            if not isinstance(rule, Rule):
                raise TypeError
    except (AttributeError, TypeError, re.error):
        raise ValueError(
            "`proximal` must be a dict from regular expressions to "
            "`SoftThreshold` or `GroupSoftThreshold` of `dsr_tf.proximal`. "
            f"Received: proximal={proximal!r}"
        ) from None
    return dict(proximal)


def _rules_of(
    variables: Sequence[Any], proximal: Mapping[str, Rule]
) -> dict[int, Rule]:
    """The rule of each variable that has one, by the variable's index."""
    found: dict[int, Rule] = {}
    for expression, rule in proximal.items():
        matches = [
            (index, variable)
            for index, variable in enumerate(variables)
            if re.search(expression, variable.path)
        ]
        if not matches:
            raise ValueError(
                "`proximal` has an expression that is found in the path of no "
                "trainable variable; the last of these is "
                f"{variables[-1].path}. Received: {expression!r}"
            )
        for index, variable in matches:
            try:
                rule.check(variable.shape)
            except ValueError as error:
                raise ValueError(
                    f"`proximal` does not fit '{variable.path}': {error}"
                ) from None
            found.setdefault(index, rule)
    return found


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
