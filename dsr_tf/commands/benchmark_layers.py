"""The hidden layers of the networks of `python -m dsr_tf.benchmark --storage`.

What a kind adds to an example beside its channels are positions, each of
which a matrix multiplies.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras

from dsr_tf.layers import SparseConv2D
from dsr_tf.layers import SparseDense
from dsr_tf.layers import SparseMultiHeadAttention

_HEAD = 64


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of hidden layers.

    Attributes:
        layer: Function that makes a layer, called with a number of units,
            arguments of a sparse layer, or none for a dense one, and
            arguments of any layer.
        positions: Function of `--size` that gives the axes of positions.
    """

    layer: Callable[..., Callable[[Any], Any]]
    positions: Callable[[int], tuple[int, ...]]


def _dense(units: int, sparse: dict[str, Any], **shared: Any) -> Any:
    kind: Any = SparseDense if sparse else keras.layers.Dense
    return kind(units, activation="relu", **sparse, **shared)


def _convolution(units: int, sparse: dict[str, Any], **shared: Any) -> Any:
    kind: Any = SparseConv2D if sparse else keras.layers.Conv2D
    return kind(units, 1, activation="relu", **sparse, **shared)


def _attention(units: int, sparse: dict[str, Any], **shared: Any) -> Any:
    kind: Any = keras.layers.MultiHeadAttention
    if sparse:
        kind = SparseMultiHeadAttention
    head = min(_HEAD, units)
    layer = kind(units // head, head, output_shape=units, **sparse, **shared)
    return lambda x: layer(x, x)


KINDS = {
    "dense": Kind(_dense, lambda size: ()),
    "convolution": Kind(_convolution, lambda size: (size, size)),
    "attention": Kind(_attention, lambda size: (size * size,)),
}
