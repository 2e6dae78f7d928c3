"""A vision transformer that is sparse from the start, on scanned digits.

It reads images of 8x8 pixels as 16 patches. Its twins have all weights, and
as few weights that stay where they are.
"""

import keras
import shared
from keras import layers
from keras import ops

import dsr_tf


@keras.saving.register_keras_serializable("vision_transformer")
class PositionEmbedding(layers.Layer):
    """Adds to each patch a vector that says where it is."""

    def build(self, input_shape):
        self.table = layers.Embedding(*input_shape[1:])
        self.table.build(input_shape[:1])

    def call(self, patches):
        return patches + self.table(ops.arange(patches.shape[1]))


def make_model(width=32, heads=4, depth=2):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(width, 2, strides=2, name="patches")(inputs)
    x = PositionEmbedding()(layers.Reshape((16, width))(x))
    for _ in range(depth):
        y = layers.LayerNormalization()(x)
        x += layers.MultiHeadAttention(heads, width // heads)(y, y)
        y = layers.LayerNormalization()(x)
        x += layers.Dense(width)(layers.Dense(4 * width, "gelu")(y))
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return keras.Model(inputs, layers.Dense(10, name="digit")(x), name="vit")


def train(model, train_set, test_set, epochs, *callbacks):
    """Train a model; returns its accuracy on the test images."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(dsr_tf.optimizers.AdamW(5e-3), loss, metrics=["accuracy"])
    model.fit(*train_set, epochs=epochs, callbacks=list(callbacks), verbose=0)
    return model.evaluate(*test_set, verbose=0)[1]


def main(arguments=None):
    args = shared.parse_arguments(arguments, __doc__, epochs=6)
    sets = shared.load_digits(8, 8, 1)
    dense = make_model()
    model, static = (dsr_tf.sparsify(dense, 0.8, seed=0) for _ in range(2))
    method, last = dsr_tf.methods.SET(0.2), args.epochs * 3 // 4
    reallocation = dsr_tf.callbacks.Reallocation(method, 25, last, seed=0)
    print(f"accuracy      {train(model, *sets, args.epochs, reallocation):.3f}")
    print(f"static masks  {train(static, *sets, args.epochs):.3f}")
    print(f"dense         {train(dense, *sets, args.epochs):.3f}")
    print(dsr_tf.sparsity_summary(model))
    model.save(args.model_file)
    shared.check_file(args.model_file, model, sets[1][0])
    return model


if __name__ == "__main__":
    main()
