"""Which weights can hold a factor that something is multiplied by."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from dsr_tf.conversion.graph import is_graph
from dsr_tf.conversion.state import own_variables
from dsr_tf.layers import Hashed
from dsr_tf.layers import Scale
from dsr_tf.structure.graph.trace import Trace
from dsr_tf.structure.graph.trace import graph_of
from dsr_tf.structure.rules.registry import kind_of

# For kinds of layers, the axes of weights along which outputs lie.
_WEIGHTS: dict[Any, dict[str, int]] = {
    **dict.fromkeys(
        (
            keras.layers.Conv1D,
            keras.layers.Conv2D,
            keras.layers.Conv3D,
            keras.layers.Dense,
        ),
        {"kernel": -1, "bias": -1},
    ),
    **dict.fromkeys(
        (
            keras.layers.Conv1DTranspose,
            keras.layers.Conv2DTranspose,
            keras.layers.Conv3DTranspose,
        ),
        {"kernel": -2, "bias": -1},
    ),
    **dict.fromkeys(
        (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D),
        {"pointwise_kernel": -1, "bias": -1},
    ),
    keras.layers.BatchNormalization: {"gamma": -1, "beta": -1},
}
# Where a factor before it is a factor behind it; if it is not negative.
_LINEAR = (
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.Identity,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
    Scale,
)
_POSITIVE = (keras.layers.LeakyReLU, "LeakyRelu", "Relu")


class CannotHold(Exception):
    """Nothing can hold a factor; the message is a few words why."""


class Holders:
    """Finds the layers of a model that can hold factors.

    Args:
        model: A built functional or Sequential model.

    Attributes:
        trace: Its `Trace`.
    """

    def __init__(self, model: keras.Model) -> None:
        self.trace = Trace(model)
        self._made_by: dict[int, Any] = {}
        self._times: dict[int, int] = {}
        self._readers: dict[int, list[Any]] = {}
        for node, _ in self.trace.calls:
            key = id(node.operation)
            self._times[key] = self._times.get(key, 0) + 1
            self._made_by.update((id(x), node) for x in node.outputs)
            for tensor in node.input_tensors:
                self._readers.setdefault(id(tensor), []).append(node)
        self._put_out = {id(x) for g in _graphs(model) for x in g.outputs}

    def readers_of(self, tensor: Any) -> list[Any]:
        """The operations that read a tensor; None stands for others."""
        found = [n.operation for n in self._readers.get(id(tensor), [])]
        return found + [None] * (id(tensor) in self._put_out)

    def output_of(self, operation: Any) -> Any:
        """The only output of the only call of an operation.

        Raises:
            CannotHold: if there are several.
        """
        if self._times[id(operation)] > 1:
            raise CannotHold(f"'{operation.name}' is called several times")
        (node,) = (n for n, _ in self.trace.calls if n.operation is operation)
        if len(node.outputs) > 1:
            raise CannotHold(f"'{operation.name}' puts out several tensors")
        return node.outputs[0]

    def holder(self, tensor: Any, is_negative: bool = False) -> Any:
        """The layer whose weights can hold a factor of a tensor.

        Args:
            tensor: One of the graph, that has but one reader.
            is_negative: Whether the factor, or one of those for channels, is
                below 0.

        Raises:
            CannotHold: if there is none.
        """
        while True:
            if len(self.readers_of(tensor)) > 1:
                raise CannotHold("others read what is to be scaled")
            node = self._made_by.get(id(tensor))
            if node is None:
                raise CannotHold("it is not a layer that makes it")
            operation = node.operation
            self.output_of(operation)
            if _weights_of(operation):
                _check_activation(operation, is_negative)
                return operation
            if not _lets_through(operation, is_negative):
                kind = type(operation).__name__
                raise CannotHold(f"'{operation.name}' ({kind}) has no weights")
            (tensor,) = node.input_tensors


def multiply(layer: Any, factors: np.ndarray) -> None:
    """Multiply what a holder puts out, by its weights.

    Args:
        layer: A layer that `Holders.holder` has found, or a copy of it.
        factors: One for each channel, or `(1,)`.
    """
    for variable, axis in _weights_of(layer):
        values = ops.convert_to_numpy(variable)
        along = [1] * values.ndim
        along[axis] = len(factors)
        variable.assign(values * factors.reshape(along).astype(values.dtype))


def _graphs(model: keras.Model) -> Iterator[Any]:
    """The graphs of a model, and of models inside of it."""
    for layer in model._flatten_layers():
        if is_graph(layer) and layer.built:
            yield graph_of(layer)


def _weights_of(layer: Any) -> list[tuple[Any, int]]:
    """The weights that can hold factors, and the axis of each."""
    axes = dict(_WEIGHTS.get(kind_of(layer), {}))
    is_special = (
        isinstance(layer, Hashed)
        or getattr(layer, "lora_enabled", False)
        or getattr(layer, "quantization_mode", None)
    )
    if not axes or is_special:
        return []
    found = {v.name: v for v in own_variables(layer) if v.name in axes}
    if "beta" in found and "gamma" not in found:
        return []
    return [(variable, axes[name]) for name, variable in found.items()]


def _check_activation(layer: Any, is_negative: bool) -> None:
    activation = getattr(layer, "activation", None)
    if not _function_lets_through(activation, is_negative):
        raise CannotHold(f"the activation of '{layer.name}' is not ReLU")


def _function_lets_through(function: Any, is_negative: bool) -> bool:
    if function in (None, keras.activations.linear):
        return True
    return function is keras.activations.relu and not is_negative


def _lets_through(operation: Any, is_negative: bool) -> bool:
    kind: Any = type(operation)
    if not isinstance(operation, keras.layers.Layer):
        kind = kind.__name__
    if kind is keras.layers.Activation:
        return _function_lets_through(operation.activation, is_negative)
    if kind is keras.layers.ReLU:
        is_plain = operation.max_value is None and not operation.threshold
        return is_plain and not is_negative
    return kind in _LINEAR or (kind in _POSITIVE and not is_negative)
