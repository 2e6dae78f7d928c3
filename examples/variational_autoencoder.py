"""A sparse variational autoencoder of scanned digits, with its own train_step.

It is judged by the bound on the likelihood of test images, in nats (Kingma &
Welling, 2014; the lower, the better), against a dense twin and a sparse one
whose active weights stay where they are.
"""

import keras
import shared
import tensorflow as tf
from keras import layers
from keras import ops

import dsr_tf


@keras.saving.register_keras_serializable("variational_autoencoder")
class VariationalAutoencoder(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.encoder = keras.Sequential(
            [layers.Dense(256, "relu"), layers.Dense(16)], name="encoder"
        )
        self.decoder = keras.Sequential(
            [layers.Dense(256, "relu"), layers.Dense(64)], name="decoder"
        )
        self.seeds = keras.random.SeedGenerator(0)

    def call(self, x, training=False):
        mean, log_var = ops.split(self.encoder(x), 2, axis=-1)
        noise = keras.random.normal(ops.shape(mean), seed=self.seeds)
        codes = mean + ops.exp(log_var / 2) * noise if training else mean
        return self.decoder(codes), mean, log_var

    def bound(self, x):
        outputs, mean, log_var = self(x, training=True)
        nats = ops.binary_crossentropy(x, outputs, from_logits=True)
        divergence = (ops.exp(log_var) + mean**2 - 1 - log_var) / 2
        return ops.mean(ops.sum(nats, -1) + ops.sum(divergence, -1))

    def train_step(self, x):
        with tf.GradientTape() as tape:
            bound = self.bound(x)
        gradients = tape.gradient(bound, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"bound": bound}


def train(model, x, x_test, epochs, *callbacks):
    """Train a model; returns its bound on the test images."""
    model.compile(dsr_tf.optimizers.Adam(2e-3))
    model.fit(x, epochs=epochs, callbacks=list(callbacks), verbose=0)
    return float(model.bound(x_test))


def main(arguments=None):
    args = shared.parse_arguments(arguments, __doc__, epochs=40)
    sets = [x for x, _ in shared.load_digits(64)]

    keras.utils.set_random_seed(0)
    dense = VariationalAutoencoder(name="autoencoder")
    dense(sets[0])
    model, static = (dsr_tf.sparsify(dense, 0.9, seed=0) for _ in range(2))
    method, last = dsr_tf.methods.DSR(200), args.epochs * 3 // 4
    reallocation = dsr_tf.callbacks.Reallocation(method, 30, last, seed=0)
    print(f"test bound    {train(model, *sets, args.epochs, reallocation):.2f}")
    print(f"static masks  {train(static, *sets, args.epochs):.2f}")
    print(f"dense         {train(dense, *sets, args.epochs):.2f}")
    print(dsr_tf.sparsity_summary(model))
    model.save(args.model_file)
    shared.check_file(args.model_file, model, sets[1])
    return model


if __name__ == "__main__":
    main()
