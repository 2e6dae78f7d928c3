"""Penalties on weights of which only the active ones are stored."""

from typing import Any

import keras

# Sums over single weights, to which zeros add nothing.
_SUMS = (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)


def check_penalty(regularizer: Any, layer: Any, storage: str) -> None:
    """Refuse a penalty that looks at more than single weights.

    Raises:
        ValueError: if it may.
    """
    penalty = keras.regularizers.get(regularizer)
    if penalty is not None and type(penalty) not in _SUMS:
        raise ValueError(
            f"Layer '{layer.name}' stores its active weights only (storage="
            f"'{storage}'), so a penalty must be L1, L2 or L1L2, which zeros "
            f"add nothing to. Received: {type(penalty).__name__}"
        )
