"""`regularize`: a model with penalties and constraints on some weights."""

import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

import keras

from dsr_tf.constraints import InTurn
from dsr_tf.conversion.inplace import prepared
from dsr_tf.conversion.selection import check_model
from dsr_tf.conversion.selection import first_few
from dsr_tf.conversion.weight_arguments import Place
from dsr_tf.conversion.weight_arguments import places
from dsr_tf.layers.kinds import kernel_axes_of
from dsr_tf.regularizers import Sum
from dsr_tf.regularizers import fitted


def regularize(
    model: keras.Model,
    regularizers: Mapping[str, Any] | None = None,
    constraints: Mapping[str, Any] | None = None,
    inplace: bool = False,
) -> keras.Model:
    """A copy of a model with regularizers, or constraints, on some weights.

    They become arguments of the layers, such as `kernel_regularizer`, as if
    they had been given to these, so files and other copies keep them. What a
    weight has already is kept, and what is new is added to it. In masked
    layers penalties see the active weights, and inactive ones receive none.
    `model` is not changed, unless with `inplace`.

    Args:
        model: A built Keras model, as for `sparsify`.
        regularizers: Dict from regular expressions to what
            `keras.regularizers.get` takes. An expression is searched for in
            the paths of all trainable weights: names of layers from the
            model down, then that of the weight, such as `"conv1/kernel"`. A
            `GroupLasso` takes groups by what the axes of a weight stand for
            in its layer. Where several are found, penalties add up.
        constraints: The same with what `keras.constraints.get` takes; where
            several are found, they act one after the other.
        inplace: Whether to change `model` itself, and return it.

    Returns:
        The model with penalties, compiled as `model` is. Its optimizer is
        new unless with `inplace`.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if the model cannot be copied, an expression is found in
            no path, a layer takes no such argument for a weight, or groups
            do not fit it. A model is then left as it was.

    Example:

    >>> lasso = dsr_tf.regularizers.GroupLasso
    >>> model = dsr_tf.regularize(
    ...     model,
    ...     {
    ...         "conv.*/kernel": lasso(0.003, "channel") + lasso(1e-3, "shape"),
    ...         "gamma": keras.regularizers.L1(1e-4),
    ...     },
    ...     {"kernel": dsr_tf.constraints.ZeroBelow(1e-4)},
    ... )
    """
    check_model(model, "regularize")
    found = [
        _Expressions(regularizers, "regularizer", keras.regularizers.get, Sum),
        _Expressions(constraints, "constraint", keras.constraints.get, InTurn),
    ]
    if not any(expressions.given for expressions in found):
        raise ValueError(
            "`regularize` takes at least one of `regularizers` and "
            "`constraints`, dicts from regular expressions. Received: "
            f"regularizers={regularizers!r}, constraints={constraints!r}"
        )
    changed = prepared(model, "regularize", inplace)
    if hasattr(model, "skipped_layers"):
        changed.skipped_layers = dict(model.skipped_layers)
    weights = places(changed)
    # All is checked before anything is changed.
    changes = [change for some in found for change in some.changes(weights)]
    for change in changes:
        change()
    return changed


class _Expressions:
    """What the weights of a model get, by expressions for their paths.

    Args:
        given: The argument of `regularize`, or None.
        what: `"regularizer"` or `"constraint"`.
        get: Keras' function that makes one of what a user gives.
        together: The class that makes one of several.
    """

    def __init__(
        self,
        given: Mapping[str, Any] | None,
        what: str,
        get: Callable[[Any], Any],
        together: Callable[[Iterable[Any]], Any],
    ) -> None:
        self.what, self.together = what, together
        if given is not None and not isinstance(given, Mapping):
            raise ValueError(
                f"`{what}s` must be a dict from regular expressions to {what}s."
                f" Received: {what}s={given!r}"
            )
        self.given = []
        for expression, value in (given or {}).items():
            try:
                pattern = re.compile(expression)
            except (TypeError, re.error) as error:
                raise ValueError(
                    f"`{what}s` must have regular expressions as keys. "
                    f"Received: {expression!r} ({error})"
                ) from None
            made = get(value)
            if made is None:
                raise ValueError(
                    f"`{what}s` must have {what}s as values. Received: "
                    f"{expression!r}: None"
                )
            self.given.append((pattern, made))

    def changes(self, weights: list[Place]) -> list[Callable[[], None]]:
        """Functions that change a weight and its layer each.

        Raises:
            ValueError: if an expression is found in no path, or a weight
                cannot have what is found for it.
        """
        for pattern, _ in self.given:
            if not any(pattern.search(weight.path) for weight in weights):
                raise ValueError(
                    f"`{self.what}s` has an expression that is found in the "
                    "path of no trainable weight; these are "
                    f"{', '.join(first_few([w.path for w in weights]))}. "
                    f"Received: {pattern.pattern!r}"
                )
        changes = []
        for weight in weights:
            new = [
                value
                for pattern, value in self.given
                if pattern.search(weight.path)
            ]
            if new:
                changes.append(self._change(weight, new))
        return changes

    def _change(self, weight: Place, new: list[Any]) -> Callable[[], None]:
        attribute = weight.argument(self.what)
        new = [_for_weight(value, weight) for value in new]
        masked = getattr(weight.layer, "masked_variables", {})
        # A masked weight has its penalty on what is active.
        target = masked.get(weight.variable.name)
        name = f"plain_{self.what}"
        if target is None or not hasattr(target, name):
            target, name = weight.variable, self.what
        old = getattr(target, name)
        all_of_them = new if old is None else [old, *new]
        value = new[0]
        if len(all_of_them) > 1:
            value = self.together(all_of_them)

        def change() -> None:
            # Past Keras, which would track what is set.
            vars(weight.layer)[attribute] = value
            setattr(target, name, value)

        return change


def _for_weight(value: Any, weight: Place) -> Any:
    """A regularizer with the groups of a weight; others as they are."""
    shape = tuple(weight.variable.shape)
    axes = kernel_axes_of(weight.layer, weight.variable.name, len(shape))
    try:
        return fitted(value, shape, axes)
    except ValueError as error:
        raise ValueError(
            f"'{weight.path}' cannot get the regularizer: {error}"
        ) from None
