"""Small networks of which tests collect samples, and their inputs."""

import keras
import numpy as np
from keras import layers

from dsr_tf.structure.graph.channels import Slice


def slice_of(layer, positions=None):
    """The channels that a layer reads; each is a unit by default."""
    if positions is None:
        positions = np.arange(layer.kernel.shape[-2])[:, None]
    axis = len(layer.kernel.shape) - 2
    return Slice(layer.kernel, axis, positions, "in", layer)


def images(number=6, shape=(7, 6, 3)):
    generator = np.random.default_rng(0)
    return generator.normal(size=(number, *shape)).astype("float32")


def network():
    """Convolutions, then units that are nine positions each, then dense."""
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((7, 6, 3)),
            layers.Conv2D(5, 3, padding="same", activation="relu"),
            layers.Conv2D(4, 3, strides=2, bias_initializer="normal"),
            layers.Flatten(),
            layers.Dense(8, "relu"),
            layers.Dense(1, bias_initializer="ones"),
        ]
    )


def shared():
    layer = layers.Conv1D(4, 2, padding="same")
    inputs = keras.Input((5, 4))
    return keras.Model(inputs, layer(layer(inputs))), layer, 2
