"""The gradient of a loss, on each backend that has one."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from dsr_tf.conversion.batch import Batch

# In float16 small gradients become 0: the loss is multiplied by the first of
# these with which no number becomes infinite.
_SCALES = (2.0**15, 2.0**10, 2.0**5, 1.0)


def mean_gradients(
    model: keras.Model, variables: Sequence[keras.Variable], batch: Batch
) -> list[np.ndarray]:
    """The gradient of the loss for some variables, of a batch.

    It is the mean over the examples, some of which are computed at a time.

    Args:
        model: The Keras model.
        variables: Variables of its layers, trainable or not.
        batch: The `Batch`, with its loss.

    Returns:
        One float32 array a variable. In mixed precision with float16 they
        are multiplied by a number, the same for all.

    Raises:
        ValueError: if they are not finite.
        NotImplementedError: on other backends than TensorFlow and JAX.
    """
    loss = batch.loss_of(model)
    for scale in _SCALES if has_float16(model) else (1.0,):
        gradient = _gradient_function(loss, variables, scale)
        found = [np.zeros(v.shape, "float32") for v in variables]
        for x, y, number in batch.pieces():
            for total, part in zip(found, gradient(x, y)):
                part = np.asarray(ops.convert_to_numpy(part), "float32")
                total += part * np.float32(number / len(batch))
        if all(np.isfinite(array).all() for array in found):
            return found
    raise ValueError(
        f"The loss of model '{model.name}' on `data` has a gradient that is "
        "not finite"
    )


def has_float16(model: keras.Model) -> bool:
    """Whether a layer computes in float16, so that gradients are scaled."""
    return any(
        getattr(layer, "compute_dtype", None) == "float16"
        for layer in model._flatten_layers()
    )


def _gradient_function(
    loss: Callable[[Any, Any], Any],
    variables: Sequence[keras.Variable],
    scale: float,
) -> Callable[[Any, Any], Sequence[Any]]:
    """A function of inputs and targets that returns the gradients."""

    def of_values(values: Sequence[Any], x: Any, y: Any) -> Any:
        mapping = list(zip(variables, values))
        with keras.StatelessScope(state_mapping=mapping):
            return loss(x, y) * scale

    values = [variable.value for variable in variables]
    if keras.backend.backend() == "tensorflow":
        return lambda x, y: _tensorflow_gradient(of_values, values, x, y)
    if keras.backend.backend() == "jax":
        import jax

        gradient = jax.jit(jax.grad(of_values))
        return lambda x, y: gradient(values, x, y)
    raise NotImplementedError(
        "Gradients are computed on TensorFlow and JAX. Received: "
        f"KERAS_BACKEND={keras.backend.backend()}"
    )


def _tensorflow_gradient(
    function: Callable[..., Any], values: Sequence[Any], x: Any, y: Any
) -> Sequence[Any]:
    """What `jax.grad(function)(values, x, y)` is on JAX."""
    import tensorflow as tf

    values = [tf.convert_to_tensor(value) for value in values]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        value = function(values, x, y)
    found = tape.gradient(
        value, values, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    # Those of embeddings are lists of rows.
    return [tf.convert_to_tensor(part) for part in found]
