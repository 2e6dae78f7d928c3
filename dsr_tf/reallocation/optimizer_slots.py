"""The slots of any Keras 3 optimizer: momentums, accumulators, averages.

Keras has no public way to ask which of an optimizer's variables belong to
which weight. Every optimizer keeps them in lists as long as, and in the
order of, its trainable variables, so a list of that form is one kind of
slot, whatever its name.
"""

import keras


def slots(optimizer, variable):
    """The slots of `variable` that have one entry for each weight.

    Args:
        optimizer: A Keras optimizer, or one that wraps others.
        variable: A trainable variable of the model.

    Returns:
        List of pairs `(slot, fresh)`: an optimizer variable of the shape of
        `variable`, and the number that its entries start from. Empty where
        the optimizer has not been built yet.
    """
    found = []
    for leaf in _leaves(optimizer):
        index = leaf._trainable_variables_indices.get(leaf._var_key(variable))
        if index is None:
            continue
        own = {id(v) for v in leaf._variables}
        length = len(leaf._trainable_variables_indices)
        for name, values in vars(leaf).items():
            if not isinstance(values, (list, tuple)) or len(values) != length:
                continue
            slot = values[index]
            if id(slot) in own and tuple(slot.shape) == tuple(variable.shape):
                found.append((slot, _fresh_value(leaf, name)))
    return found


def check_optimizer(optimizer, variables):
    """Refuse an optimizer that cannot leave inactive weights at 0.

    Muon replaces a gradient by the nearest orthogonal matrix, which has no
    zeros where the gradient had some.

    Raises:
        ValueError: if `optimizer` is or holds such a one.
    """
    for leaf in _leaves(optimizer):
        if not isinstance(leaf, keras.optimizers.Muon):
            continue
        for variable in variables:
            if not leaf._should_use_adamw(variable):
                raise ValueError(
                    "Muon updates every weight of a kernel, so inactive "
                    "weights would not stay 0. Use another optimizer, or "
                    "list the masked layers in its `exclude_layers`. "
                    f"Received: optimizer=Muon for {variable.path}"
                )


def _leaves(optimizer):
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None:
        yield from _leaves(inner)
    elif getattr(optimizer, "optimizers", None):
        for part in optimizer.optimizers:
            yield from _leaves(part)
    else:
        yield optimizer


def _fresh_value(optimizer, list_name):
    # Adagrad and Ftrl divide by the root of an accumulator that must not
    # be 0; every other slot of Keras starts from 0.
    if list_name == "_accumulators":
        return float(getattr(optimizer, "initial_accumulator_value", 0.0))
    return 0.0
