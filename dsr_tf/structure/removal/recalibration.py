"""Moving statistics of batch normalization, measured anew."""

from typing import Any

import keras

from dsr_tf.core.batches import input_batches


def recalibrate(
    model: keras.Model,
    data: Any,
    num_batches: int | None = None,
    batch_size: int = 32,
) -> None:
    """Measure the means and variances of a model's batch normalization.

    Where channels have gone that were no zeros, what is left has other
    statistics than the moving ones, which are renewed in place: each is the
    mean over batches that the model sees as it does in training. None of the
    papers does so before it trains on, which renews them as well; without
    training it is often what saves the accuracy. Frozen layers are measured
    too.

    Args:
        model: A built Keras model; nothing else of it changes, but seeds of
            layers that draw random numbers move on.
        data: Inputs, as of `dsr_tf.structure.contributions`.
        num_batches: How many batches are read; None reads all.
        batch_size: Examples a batch of arrays; other data has its own.

    Raises:
        TypeError, ValueError: if `data` is of no known kind, or an argument
            is out of range; if no layer of the model normalizes batches.
    """
    layers: list[Any] = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    if not layers:
        raise ValueError(
            f"Model '{model.name}' has no batch normalization to recalibrate."
        )
    before = [(layer.momentum, layer._trainable) for layer in layers]
    batches = input_batches(data, batch_size, num_batches)
    try:
        for layer in layers:
            # Frozen ones would normalize by what they have.
            layer._trainable = True
        for number, inputs in enumerate(batches):
            for layer in layers:
                # So that in the end each batch has weighed as much.
                layer.momentum = number / (number + 1)
            model(inputs, training=True)
    finally:
        for layer, (momentum, trainable) in zip(layers, before):
            layer.momentum, layer._trainable = momentum, trainable
