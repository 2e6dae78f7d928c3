"""Gradients of all weights of a model, the inactive ones among them."""

from typing import Any

import numpy as np
from keras import ops

from dsr_tf.conversion.batch import Batch
from dsr_tf.conversion.gradients import mean_gradients
from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.methods.hook import InStepHook


class _LetThrough(InStepHook):
    """Gradients reach inactive weights; what layers compute stays."""

    def gradient_is_dense(self) -> Any:
        return ops.convert_to_tensor(True)


def dense_gradients(
    model: Any, weights: list[MaskedWeight], batch: Batch
) -> list[np.ndarray]:
    """The gradient of the loss for masked kernels, by all their weights.

    Args:
        model: The Keras model.
        weights: List of `MaskedWeight` of it.
        batch: The examples, over which it is the mean.

    Returns:
        One float32 array a kernel.
    """
    hook = _LetThrough(weights)
    hook.install(None, 0)
    try:
        return mean_gradients(model, [w.kernel for w in weights], batch)
    finally:
        hook.remove()
