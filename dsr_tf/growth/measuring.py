"""How good a model is on some examples, without Keras' loops."""

from typing import Any

import keras
from keras import ops

from dsr_tf.conversion.batch import Batch
from dsr_tf.core.batches import num_examples

# Examples that the model sees at once; a question of memory only.
_AT_ONCE = 256


def check_metric(metric: Any) -> keras.metrics.Metric:
    """A metric as it was given, or by its name.

    Raises:
        ValueError: if it is none.
    """
    found = metric
    if isinstance(metric, str):
        try:
            found = keras.metrics.get(metric)
        except ValueError:
            found = None
    if not isinstance(found, keras.metrics.Metric):
        raise ValueError(
            "`metric` must be a Keras metric, or the name of one. Received: "
            f"metric={metric!r}"
        )
    return found


def value_of(
    metric: keras.metrics.Metric, model: keras.Model, data: Any
) -> float:
    """The metric of a model on `(x, y)`, in inference mode."""
    metric.reset_state()
    for start in range(0, num_examples(data), _AT_ONCE):
        x, y = keras.tree.map_structure(
            lambda array, start=start: array[start : start + _AT_ONCE], data
        )
        metric.update_state(y, model(x, training=False))
    return float(ops.convert_to_numpy(metric.result()))


def loss_on(model: keras.Model, batch: Batch) -> float:
    """The mean loss of a model on a batch, in inference mode."""
    loss = batch.loss_of(model)
    return sum(
        float(ops.convert_to_numpy(loss(x, y))) * number
        for x, y, number in batch.pieces()
    ) / len(batch)
