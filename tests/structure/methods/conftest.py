"""A small network that has learnt something, for methods that need one."""

import keras
import numpy as np
import pytest
from keras import layers

from dsr_tf.data.loading import load


class Trained:
    """A network for the digits, and the digits.

    `first` and `second` are convolutions, the second without a bias and with
    a normalization; then come units of sixteen positions, `hidden` and
    `logits`.
    """

    def __init__(self):
        data = load("digits")
        self.x, self.y = data.train_images / np.float32(255), data.train_labels
        self.test_x = data.test_images / np.float32(255)
        self.test_y = data.test_labels
        keras.utils.set_random_seed(0)
        self.model = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                layers.Conv2D(12, 3, padding="same", name="first"),
                layers.ReLU(),
                layers.Conv2D(
                    16, 3, padding="same", use_bias=False, name="second"
                ),
                layers.BatchNormalization(name="bn"),
                layers.ReLU(),
                layers.MaxPooling2D(),
                layers.Flatten(),
                layers.Dense(32, "relu", name="hidden"),
                layers.Dense(10, name="logits"),
            ]
        )
        self.model.compile(
            keras.optimizers.Adam(3e-3),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        self.model.fit(self.x, self.y, batch_size=64, epochs=6, verbose=0)

    def accuracy(self, model):
        return model.evaluate(self.test_x, self.test_y, verbose=0)[1]


@pytest.fixture(scope="session")
def trained():
    return Trained()
