"""Configurations of layers, changed for layers of other sizes."""

from typing import Any

import keras
import numpy as np


def with_entry(value: Any, place: tuple[str | int, ...], entry: int) -> Any:
    """A nested value with one entry changed; what holds it is copied."""
    if not place:
        return entry
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = with_entry(copy[place[0]], place[1:], entry)
    return tuple(copy) if isinstance(value, tuple) else copy


def without_shapes(value: Any) -> Any:
    """A configuration without the shapes that layers inside are built for."""
    if isinstance(value, dict):
        return {
            key: without_shapes(entry)
            for key, entry in value.items()
            if key != "build_config"
        }
    return value


def without_arrays(value: Any) -> Any:
    """A configuration whose initializers do for weights of any shape."""
    if _is_array(value):
        # (Weights are copied, so the numbers are of no use any more.)
        return keras.initializers.Zeros()
    if isinstance(value, dict):
        return {key: without_arrays(entry) for key, entry in value.items()}
    return value


def starts_from_arrays(layer: keras.layers.Layer) -> bool:
    """Whether an initializer of a layer does for weights of one shape only."""
    return any(
        _is_array(value)
        for part in layer._flatten_layers()
        for value in vars(part).values()
    )


def _is_array(value: Any) -> bool:
    """Whether a value is an initializer for weights of one shape only."""
    if isinstance(value, keras.initializers.Constant):
        return np.ndim(value.value) > 0
    if isinstance(value, dict) and value.get("class_name") == "Constant":
        return not isinstance(value["config"]["value"], (int, float))
    return False
