"""Which layers can be masked or tied: each kind registers beside its class.

A file in this folder with such a class is all that a new kind takes: files
are found, and what is registered is known to `sparsify`, `tie` and `strip`.
"""

import inspect
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any
from typing import TypeVar

import keras

from dsr_tf.core.checks import is_integer
from dsr_tf.core.kernel_axes import KernelAxes
from dsr_tf.layers.clustered import Clustered
from dsr_tf.layers.clustered import clustered_property

# Keras' layer -> its masked kind; -> its tied kind; -> its clustered kind,
# which comes with the masked one; and back from all.
MASKED_KINDS: dict[type, Any] = {}
HASHED_KINDS: dict[type, Any] = {}
CLUSTERED_KINDS: dict[type, Any] = {}
DENSE_KINDS: dict[type, Any] = {}
# Keras' layer -> what it becomes when layers inside of it are masked; and
# back. Most need nothing, these do.
HOLDING_KINDS: dict[type, Any] = {}
HELD_KINDS: dict[type, Any] = {}

_Kind = TypeVar("_Kind")


def masks(
    dense_kind: type, **channel_axes: tuple[int, ...]
) -> Callable[[type[_Kind]], type[_Kind]]:
    """Decorator: register the masked kind of one of Keras' layers.

    Its clustered kind, `Clustered<name of the dense kind>`, is made of the
    dense one and registered as well.

    Args:
        dense_kind: The class of the layer as Keras has it.
        **channel_axes: For each weight that is masked, by the name that
            the layer adds it under and keeps it in an attribute of, the
            axes along which output channels differ, such as `kernel=(-1,)`.

    Raises:
        TypeError: if axes are no tuple of integers.
    """

    for name, axes in channel_axes.items():
        if not isinstance(axes, tuple) or not all(map(is_integer, axes)):
            raise TypeError(
                "`masks` takes, for each weight, a tuple of the axes along "
                f"which output channels differ, such as (-1,). Received: "
                f"{name}={axes!r}"
            )

    def register(kind: Any) -> Any:
        kind._channel_axes = channel_axes
        signature = inspect.signature(dense_kind)
        kind._dense_kind_takes_seed = "seed" in signature.parameters
        for name in channel_axes:
            setattr(kind, name, _masked_property(kind, name))
        MASKED_KINDS[dense_kind], DENSE_KINDS[kind] = kind, dense_kind
        clustered = _clustered_kind(dense_kind, kind.__module__, channel_axes)
        CLUSTERED_KINDS[dense_kind] = clustered
        DENSE_KINDS[clustered] = dense_kind
        return keras.saving.register_keras_serializable("dsr_tf")(kind)

    return register


def ties(dense_kind: type) -> Callable[[type[_Kind]], type[_Kind]]:
    """Decorator: register the tied kind of one of Keras' layers."""

    def register(kind: Any) -> Any:
        HASHED_KINDS[dense_kind], DENSE_KINDS[kind] = kind, dense_kind
        return keras.saving.register_keras_serializable("dsr_tf")(kind)

    return register


def holds_masked(
    dense_kind: type,
) -> Callable[[type[_Kind]], type[_Kind]]:
    """Decorator: register what one of Keras' layers becomes when it holds
    masked layers, which it has made itself."""

    def register(kind: Any) -> Any:
        HOLDING_KINDS[dense_kind], HELD_KINDS[kind] = kind, dense_kind
        return keras.saving.register_keras_serializable("dsr_tf")(kind)

    return register


def kernel_axes_of(layer: Any, name: str, num_axes: int) -> KernelAxes | None:
    """What the axes of a weight of a layer stand for.

    Args:
        layer: Any layer: masked, clustered, of a kind that can be, or another.
        name: Name of the variable.
        num_axes: Number of its axes.

    Returns:
        A `KernelAxes`; None if it is not known.
    """
    dense_kind = DENSE_KINDS.get(type(layer), type(layer))
    kind: Any = MASKED_KINDS.get(dense_kind, type(layer))
    if name in getattr(kind, "_channel_axes", {}):
        return kind.kernel_axes(layer, name, num_axes)
    # Of a bias or a scale each number is that of a channel.
    return KernelAxes.of(1) if num_axes == 1 else None


def _clustered_kind(
    dense_kind: Any, module: str, names: Iterable[str]
) -> type[Clustered]:
    """The class of a dense layer whose kernels are read out of codebooks."""
    members = {
        "__doc__": f"`{dense_kind.__name__}` whose kernels are read out of "
        "codebooks, see `Clustered`.",
        "__module__": module,
        "clustered_names": tuple(names),
        **{name: clustered_property(name) for name in names},
    }
    name = f"Clustered{dense_kind.__name__}"
    kind = type(name, (Clustered, dense_kind), members)
    return keras.saving.register_keras_serializable("dsr_tf")(kind)


def _masked_property(kind: type, name: str) -> property:
    """The attribute that the forward pass reads a masked weight from.

    Some of Keras' layers have a property of that name, which adds what LoRA
    does or scales by; others set a plain attribute when they are built.
    """
    inherited = getattr(kind, name, None)

    def read(layer: Any) -> Any:
        stored = vars(layer).get(f"_{name}")
        weight = layer.masked_variables.get(name)
        if weight is not None and weight.is_exported:
            return stored
        if weight is not None and weight.held is not None:
            return weight.held
        if inherited is not None:
            stored = inherited.fget(layer)
        if weight is None or stored is None:
            return stored  # Keras asks for it while it is being made.
        return weight.masked(stored)

    def write(layer: Any, variable: Any) -> None:
        setattr(layer, f"_{name}", variable)

    return property(read, write, doc=f"`{name}` times its mask, a tensor.")
