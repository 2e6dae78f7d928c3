"""The networks that `--model` names: each registers itself in its file."""

import inspect
from collections.abc import Callable
from collections.abc import Sequence

# The function of each network, by name.
MODELS: dict[str, Callable] = {}

# Layers without masks in the paper's sparse networks, by name.
PAPER_DENSE: dict[str, list[str]] = {}

# Without these, flags that all networks take would do nothing.
_NEEDED = ("input_shape", "num_classes", "width", "l1")


def register(
    name: str, keep_dense: Sequence[str] = ()
) -> Callable[[Callable], Callable]:
    """Register a function that returns a dense Keras model.

    It takes at least `input_shape`, `num_classes`, `width` and `l1`, as
    `lenet_300_100` does; any other argument that has the name of a flag of
    `dsr_tf.train` receives the value of that flag if it is given.

    Args:
        name: Name of the network, for `--model`.
        keep_dense: Regular expressions for the names of the layers that
            have no masks with `--keep_dense=paper`.

    Returns:
        A decorator that returns the function as it is.

    Raises:
        ValueError: if there is a network of that name.
        TypeError: if the function does not take one of those arguments.

    Example:

    >>> @register("perceptron", keep_dense=["^logits$"])
    ... def perceptron(input_shape, num_classes, width=1.0, l1=0.0):
    ...     ...
    """

    def decorate(function: Callable) -> Callable:
        if name in MODELS:
            raise ValueError(
                f"`name` must be new. Received: name={name!r}, which is that "
                f"of {MODELS[name].__module__}.{MODELS[name].__qualname__}"
            )
        missing = set(_NEEDED) - set(inspect.signature(function).parameters)
        if missing:
            raise TypeError(
                f"A network must take {', '.join(_NEEDED)}. Received: "
                f"{function.__qualname__}, without {', '.join(sorted(missing))}"
            )
        MODELS[name] = function
        PAPER_DENSE[name] = list(keep_dense)
        return function

    return decorate


def arguments(name: str, settings: object) -> dict:
    """The arguments of a network that settings give, by name.

    Args:
        name: Name of the network.
        settings: Object with an attribute for each flag of a run; None is
            the value of a flag that is not given.
    """
    given = {
        parameter: getattr(settings, parameter, None)
        for parameter in parameters(name)
    }
    return {n: value for n, value in given.items() if value is not None}


def parameters(name: str) -> list[str]:
    """The names of all arguments that a network takes."""
    return list(inspect.signature(MODELS[name]).parameters)
