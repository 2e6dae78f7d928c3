"""What `sparsify` left dense, and how much of a model that is."""

import dataclasses
import math
from collections.abc import Sequence

import keras

from dsr_tf.layers.clustered import Clustered
from dsr_tf.layers.hashed import Hashed
from dsr_tf.layers.masked import Masked
from dsr_tf.layers.masked_weights import layers_with_paths

# From this share of all parameters on it is worth a sentence.
_SHARE_WORTH_SAYING = 0.1
# Which names at most so many layers.
_NAMED = 3


@dataclasses.dataclass(frozen=True)
class DenseLayer:
    """A layer without masks: its path, parameters, and the reason."""

    name: str
    num_parameters: int
    reason: str


def reasons(model: keras.Model) -> dict[str, str]:
    """Why layers stayed dense, by path; none that were masked already."""
    found = dict(getattr(model, "skipped_layers", {}))
    for layer, path in layers_with_paths(model) if found else ():
        if isinstance(layer, (Masked, Hashed, Clustered)):
            found.pop(path or layer.name, None)
    return found


def dense_layers(model: keras.Model) -> list[DenseLayer]:
    """The layers that `sparsify` left dense, those that have parameters.

    Args:
        model: A Keras model. What is not from `sparsify` has none.

    Returns:
        List of `DenseLayer`, in the order of the layers.
    """
    why = reasons(model)
    found: list[DenseLayer] = []
    seen: set[int] = set()
    for layer, path in layers_with_paths(model):
        name = path or layer.name
        if name not in why:
            continue
        own = [v for v in layer._trainable_variables if id(v) not in seen]
        seen |= {id(variable) for variable in own}
        if own:
            count = sum(math.prod(variable.shape) for variable in own)
            found.append(DenseLayer(name, count, why[name]))
    return found


def note(layers: Sequence[DenseLayer], num_parameters: int) -> str | None:
    """A sentence on layers without masks, where they are much of a model.

    Args:
        layers: List of `DenseLayer`.
        num_parameters: All parameters of the model.

    Returns:
        The share and the largest three, or None up to a tenth.
    """
    total = sum(layer.num_parameters for layer in layers)
    if total <= _SHARE_WORTH_SAYING * num_parameters:
        return None
    largest = sorted(layers, key=lambda layer: -layer.num_parameters)
    named = "; ".join(
        f"{layer.name}, {layer.num_parameters:,}: {layer.reason}"
        for layer in largest[:_NAMED]
    )
    others = len(layers) - _NAMED
    return (
        f"{total / num_parameters:.1%} of all parameters are in layers that "
        f"stay dense ({named}{f'; and {others} more' if others > 0 else ''})"
    )
