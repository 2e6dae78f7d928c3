"""The slots of any Keras 3 optimizer: momentums, accumulators, averages.

Keras has no public way to ask which of an optimizer's variables belong to
which weight. Every optimizer keeps them in lists as long as, and in the
order of, its trainable variables, so a list of that form is one kind of
slot, whatever its name.
"""

from collections.abc import Iterator
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from dsr_tf.core.grouping import Grouping

# Lists of slots by the names that Keras' optimizers give them: linear in
# the gradient; and, for want of those, growing with its magnitude.
_FIRST_MOMENTS = ("momentums", "_momentums", "_m")
_ACCUMULATORS = (
    *_FIRST_MOMENTS,
    "_velocities",
    "_accumulators",
    "_accumulated_grads",
)
# What has the name of a first moment in this one holds weights.
_HOLDS_WEIGHTS = {"ScheduleFreeAdamW": "_momentums"}


def build(optimizer: keras.optimizers.Optimizer, model: keras.Model) -> bool:
    """Build a compiled model's own optimizer, where that is safe.

    Keras builds it for the variables that there are when it is first used;
    built too early, or for a part of the model, it refuses the others. What
    a training step of the user's own trains with it, only the step knows.

    Returns:
        Whether the optimizer is built now, and so has slots.
    """
    is_own = getattr(model, "optimizer", None) is optimizer
    if is_own and not optimizer.built and has_step_of_keras(model):
        if all(layer.built for layer in model._flatten_layers()):
            optimizer.build(model.trainable_variables)
    return optimizer.built


def has_step_of_keras(model: keras.Model) -> bool:
    """Whether a model trains by the step that all of Keras' models have."""
    step = getattr(model.train_step, "__func__", None)
    return step is keras.Model.train_step


def slots(
    optimizer: keras.optimizers.Optimizer, variable: keras.Variable
) -> list[tuple[keras.Variable, float]]:
    """The slots of `variable` that have one entry for each weight.

    Args:
        optimizer: A Keras optimizer, or one that wraps others.
        variable: A trainable variable of the model.

    Returns:
        List of pairs `(slot, fresh)`: an optimizer variable of the shape of
        `variable`, and the number that its entries start from. Empty where
        the optimizer has not been built yet.
    """
    return [(slot, fresh) for _, slot, fresh in _named(optimizer, variable)]


def start_afresh(
    optimizer: keras.optimizers.Optimizer,
    variable: keras.Variable,
    grouping: Grouping,
    chosen: np.ndarray,
) -> None:
    """Let slots of some groups of a variable be as if never used.

    Args:
        optimizer: A Keras optimizer.
        variable: A variable that it updates, or does not.
        grouping: The `Grouping` of the variable.
        chosen: Boolean array `(num_groups,)`.
    """
    for slot, fresh in slots(optimizer, variable):
        groups = grouping.groups(ops.convert_to_numpy(slot).copy())
        groups[chosen] = fresh
        slot.assign(grouping.ungroup(groups))


def accumulated_gradient(
    optimizer: keras.optimizers.Optimizer, variable: keras.Variable
) -> keras.Variable | None:
    """The slot of `variable` that accumulates its gradient.

    Args:
        optimizer: A Keras optimizer, or one that wraps others.
        variable: A trainable variable of the model.

    Returns:
        The first moment; where there is none, another accumulator that
        started from 0; None where there is none either.
    """
    found = _gathered(optimizer, variable)
    for name in _ACCUMULATORS:
        if name in found:
            return found[name]
    return None


def has_momentum(
    optimizer: keras.optimizers.Optimizer, variable: keras.Variable
) -> bool:
    """Whether the optimizer keeps a first moment of the gradient."""
    names = _gathered(optimizer, variable)
    return any(name in names for name in _FIRST_MOMENTS)


def _gathered(
    optimizer: keras.optimizers.Optimizer, variable: keras.Variable
) -> dict[str, keras.Variable]:
    """The slots of `variable` that gather gradients, by their list."""
    found = {name: slot for name, slot, _ in _named(optimizer, variable)}
    if found:
        leaf = leaf_of(optimizer, variable)
        found.pop(_HOLDS_WEIGHTS.get(type(leaf).__name__, ""), None)
    return found


def leaf_of(
    optimizer: keras.optimizers.Optimizer, variable: keras.Variable
) -> keras.optimizers.Optimizer:
    """The optimizer, without its wrappers, that updates `variable`."""
    for leaf in leaves(optimizer):
        if leaf._var_key(variable) in leaf._trainable_variables_indices:
            return leaf
    raise ValueError(f"The optimizer does not update {variable.path}.")


def _named(
    optimizer: keras.optimizers.Optimizer, variable: keras.Variable
) -> list[tuple[str, keras.Variable, float]]:
    """Triples of the slots: name of their list, slot, fresh value."""
    found = []
    for leaf in leaves(optimizer):
        index = leaf._trainable_variables_indices.get(leaf._var_key(variable))
        if index is None:
            continue
        length = len(leaf._trainable_variables_indices)
        for name, values in vars(leaf).items():
            if isinstance(values, dict):
                # Muon of Keras 3.12 has dicts by path.
                slot = values.get(variable.path)
            elif isinstance(values, (list, tuple)) and len(values) == length:
                slot = values[index]
            else:
                continue
            # Another list may happen to be as long, and one is that of the
            # trainable variables themselves.
            if not isinstance(slot, keras.Variable) or slot is variable:
                continue
            if tuple(slot.shape) == tuple(variable.shape):
                found.append((name, slot, _fresh_value(leaf, name)))
    return found


# From here on Adafactor's products of row and column factors do not vanish.
_LEAST_EPSILON = 1e-12


def check_optimizer(
    optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable]
) -> None:
    """Refuse an optimizer that does not train kernels and keep zeros.

    Muon replaces a gradient by the nearest orthogonal matrix, which has no
    zeros where the gradient had some. Adafactor divides by the product of a
    row's and a column's mean square, which underflows to 0 where all of a
    row is inactive: 0 / 0 is not a number.

    Args:
        optimizer: A Keras optimizer, or one that wraps others.
        variables: The kernels, Keras variables.

    Raises:
        ValueError: if `optimizer` is or holds such a one, or does not train
            one of the kernels.
    """
    for leaf in leaves(optimizer):
        if isinstance(leaf, keras.optimizers.Muon):
            _check_muon(leaf, variables)
        if isinstance(leaf, keras.optimizers.Adafactor):
            if leaf.epsilon_1 < _LEAST_EPSILON:
                raise ValueError(
                    "Adafactor divides 0 by 0 where all weights of a row are "
                    f"inactive, unless its `epsilon_1` is at least "
                    f"{_LEAST_EPSILON:g}. Received: epsilon_1="
                    f"{leaf.epsilon_1:g}"
                )
    check_trains(optimizer, variables)


def check_trains(
    optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable]
) -> None:
    """Refuse an optimizer that trains other weights than these kernels.

    One that is not built yet is not refused: it knows no weights.

    Args:
        optimizer: A Keras optimizer, or one that wraps others.
        variables: The kernels, Keras variables.

    Raises:
        ValueError: if `optimizer` does not train one of the kernels.
    """
    parts = list(leaves(optimizer))
    if not all(leaf.built for leaf in parts):
        return
    known = {key for leaf in parts for key in leaf._trainable_variables_indices}
    for variable in variables:
        if parts[0]._var_key(variable) not in known:
            raise ValueError(
                f"The optimizer does not train {variable.path}. Give "
                "`optimizer=`, the one that does. Received: optimizer="
                f"{type(optimizer).__name__}"
            )


def _check_muon(
    muon: keras.optimizers.Optimizer, variables: Sequence[keras.Variable]
) -> None:
    for variable in variables:
        if not muon._should_use_adamw(variable):
            raise ValueError(
                "Muon updates every weight of a kernel, so inactive "
                "weights would not stay 0. Use another optimizer, or "
                "list the masked layers in its `exclude_layers`. "
                f"Received: optimizer=Muon for {variable.path}"
            )


def leaves(
    optimizer: keras.optimizers.Optimizer,
) -> Iterator[keras.optimizers.Optimizer]:
    """The optimizers that update variables, without those around them."""
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None:
        yield from leaves(inner)
    elif getattr(optimizer, "optimizers", None):
        for part in optimizer.optimizers:
            yield from leaves(part)
    else:
        yield optimizer


def _fresh_value(
    optimizer: keras.optimizers.Optimizer, list_name: str
) -> float:
    # Adagrad and Ftrl divide by the root of an accumulator that must not
    # be 0; every other slot of Keras starts from 0.
    if list_name == "_accumulators":
        return float(getattr(optimizer, "initial_accumulator_value", 0.0))
    return 0.0
