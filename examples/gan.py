"""A sparse GAN of scanned digits: two networks, each with its own budget.

It draws the digit that it is told. A judge reads the test images by the nearest
of what it has drawn. The twin has networks with all weights.
"""

import keras
import numpy as np
import shared
import tensorflow as tf
from keras import layers
from keras import ops

import dsr_tf


def make_network(name, num_inputs, num_outputs):
    inputs = x = keras.Input((num_inputs,))
    for _ in range(2):
        x = layers.LayerNormalization()(layers.Dense(192, "leaky_relu")(x))
    return keras.Model(inputs, layers.Dense(num_outputs)(x), name=name)


class GAN(keras.Model):
    def __init__(self, *networks):
        super().__init__()
        self.generator, self.discriminator = self.networks = networks
        self.optimizers = [dsr_tf.optimizers.Adam(1e-3, 0.5) for _ in networks]

    def draw(self, told):
        noise = keras.random.normal((ops.shape(told)[0], 16))
        return ops.sigmoid(self.generator(ops.hstack([noise, told])))

    def train_step(self, batch):
        x, told = batch
        with tf.GradientTape(persistent=True) as tape:
            drawn = self.discriminator(ops.hstack([self.draw(told), told]))
            real = self.discriminator(ops.hstack([x, told]))
            fooled = ops.mean(ops.softplus(-drawn))
            found = ops.mean(ops.softplus(drawn) + ops.softplus(-real))
        each = zip(self.networks, self.optimizers, [fooled, found])
        for network, optimizer, loss in each:
            weights = network.trainable_variables
            optimizer.apply(tape.gradient(loss, weights), weights)
        return {"fooled": fooled, "found": found}


def train(gan, epochs, *callbacks):
    """Train a GAN; returns the share of test images that are read right."""
    (x, y), (x_test, y_test) = shared.load_digits(64)
    told = np.eye(10, dtype="float32")[y]
    gan.compile()
    gan.fit(x, told, epochs=epochs, callbacks=list(callbacks), verbose=0)
    drawn = ops.convert_to_numpy(gan.draw(told))
    nearest = [np.argmin(np.sum((drawn - x) ** 2, axis=1)) for x in x_test]
    return np.mean(y[nearest] == y_test)


def main(arguments=None):
    args = shared.parse_arguments(arguments, __doc__, epochs=30)
    keras.utils.set_random_seed(0)
    networks = ("generator", 26, 64), ("discriminator", 74, 1)
    dense = GAN(*(make_network(*network) for network in networks))
    sparse = GAN(*(dsr_tf.sparsify(n, 0.8, seed=0) for n in dense.networks))
    reallocations = [
        dsr_tf.callbacks.Reallocation(
            dsr_tf.methods.SET(0.2), 50, seed=0, model=network, optimizer=opt
        )
        for network, opt in zip(sparse.networks, sparse.optimizers)
    ]
    print(f"read right  {train(sparse, args.epochs, *reallocations):.3f}")
    print(f"dense       {train(dense, args.epochs):.3f}")
    print(*map(dsr_tf.sparsity_summary, sparse.networks))
    sparse.generator.save(args.model_file)
    shared.check_file(args.model_file, sparse.generator, np.eye(26))
    return sparse.generator


if __name__ == "__main__":
    main()
