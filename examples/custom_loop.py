"""A training loop without `fit`: the callback begins, steps and ends.

A small convolutional network learns scanned digits with a twentieth of its
weights; so does its twin, whose weights stay where they are. docs/loops.md
explains the loop.
"""

import keras
import numpy as np
import shared
import tensorflow as tf
from keras import layers

import dsr_tf


def make_model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(32, 3, activation="relu", name="first"),
            layers.Conv2D(64, 3, activation="relu", name="second"),
            layers.Flatten(),
            layers.Dense(64, activation="relu", name="third"),
            layers.Dense(10, name="digit"),
        ],
        name="convnet",
    )


def train(model, train_set, test_set, epochs, method):
    """Train a model; returns its accuracy on the test images."""
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = dsr_tf.optimizers.Adam(2e-3)
    reallocation = dsr_tf.callbacks.Reallocation(
        method, period=20, seed=0, model=model, optimizer=optimizer
    )

    @tf.function
    def train_step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True))
        weights = model.trainable_variables
        optimizer.apply(tape.gradient(loss, weights), weights)

    batches = tf.data.Dataset.from_tensor_slices(train_set)
    batches = batches.shuffle(2000, seed=0).batch(64, drop_remainder=True)
    reallocation.begin()
    for epoch in range(epochs):
        for x, y in batches:
            reallocation.before_step(epoch)
            train_step(x, y)
    reallocation.end()
    x, y = test_set
    return np.mean(np.argmax(model(x), axis=-1) == y)


def main(arguments=None):
    args = shared.parse_arguments(arguments, __doc__, epochs=20)
    sets = shared.load_digits(8, 8, 1)
    model, static = (
        dsr_tf.sparsify(make_model(), 0.95, seed=0) for _ in range(2)
    )
    rigl = dsr_tf.methods.RigL(0.3, end_step=args.epochs * 22 * 3 // 4)
    still = dsr_tf.methods.Static()
    print(f"accuracy      {train(model, *sets, args.epochs, rigl):.3f}")
    print(f"static masks  {train(static, *sets, args.epochs, still):.3f}")
    print(dsr_tf.sparsity_summary(model))
    model.save(args.model_file)
    shared.check_file(args.model_file, model, sets[1][0])
    return model


if __name__ == "__main__":
    main()
