"""What Keras' `fit` cannot do on several replicas."""

from collections.abc import Mapping
from typing import Any

import keras


def check_replicas(
    model: keras.Model, params: Mapping[str, Any] | None
) -> None:
    """Say so before Keras fails in words of its own.

    Args:
        model: A compiled Keras model.
        params: Those that the training loop gave the callback, if any; a
            loop other than `fit` may serve `num_replicas`.

    Raises:
        ValueError: if the model is compiled for what `fit` of Keras 3.15
            cannot do under the strategy it was built in (keras#19246).
    """
    if keras.backend.backend() != "tensorflow":
        return
    num_replicas = model.distribute_strategy.num_replicas_in_sync
    if num_replicas <= (params or {}).get("num_replicas", 1):
        return
    for name, only in (("steps_per_execution", 1), ("jit_compile", False)):
        value = getattr(model, name)
        if value not in (only, "auto"):
            raise ValueError(
                f"Keras' `fit` on {num_replicas} replicas needs {name}={only} "
                "in `compile`; `python -m dsr_tf.train --strategy=mirrored` "
                f"has no such limit. Received: {name}={value}"
            )
