"""A sparse transformer, of layers of one's own, tells the subject of a text.

The texts are paragraphs of Python's `help`, of four parts of its library. The
twins have all weights, and as few weights that stay where they are.
"""

import keras
import shared
from keras import layers

import dsr_tf

NUM_WORDS, LENGTH, WIDTH = 2000, 32, 32


@keras.saving.register_keras_serializable("transformer_classifier")
class TransformerBlock(layers.Layer):
    def __init__(self, heads=4, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.positions = layers.Embedding(LENGTH, WIDTH)
        self.attention = layers.MultiHeadAttention(heads, WIDTH // heads)
        self.wide = layers.Dense(4 * WIDTH, "relu")
        self.narrow = layers.Dense(WIDTH)
        self.norms = [layers.LayerNormalization() for _ in range(2)]

    def build(self, shape):
        self.positions.build((LENGTH,))
        self.attention.build(shape, shape)
        self.wide.build(shape)
        self.narrow.build((*shape[:-1], 4 * WIDTH))
        for norm in self.norms:
            norm.build(shape)

    def call(self, x):
        y = self.norms[0](x + self.positions(keras.ops.arange(LENGTH)))
        x = x + self.attention(y, y)
        return x + self.narrow(self.wide(self.norms[1](x)))


def make_model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((LENGTH,), dtype="int32"),
            layers.Embedding(NUM_WORDS, WIDTH, mask_zero=True, name="words"),
            TransformerBlock(name="block"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(4, name="subject"),
        ],
        name="transformer",
    )


def train(model, train_set, test_set, epochs, *callbacks):
    """Train a model; returns its accuracy on the test texts."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(dsr_tf.optimizers.Adam(2e-3), loss, metrics=["accuracy"])
    model.fit(*train_set, epochs=epochs, callbacks=list(callbacks), verbose=0)
    return model.evaluate(*test_set, verbose=0)[1]


def main(arguments=None):
    args = shared.parse_arguments(arguments, __doc__, epochs=4)
    sets = shared.load_texts(NUM_WORDS, LENGTH)
    dense = make_model()
    model, static = (dsr_tf.sparsify(dense, 0.8, seed=0) for _ in range(2))
    method, last = dsr_tf.methods.SET(0.2), args.epochs * 3 // 4
    reallocation = dsr_tf.callbacks.Reallocation(method, 40, last, seed=0)
    print(f"accuracy      {train(model, *sets, args.epochs, reallocation):.3f}")
    print(f"static masks  {train(static, *sets, args.epochs):.3f}")
    print(f"dense         {train(dense, *sets, args.epochs):.3f}")
    print(dsr_tf.sparsity_summary(model))
    model.save(args.model_file)
    shared.check_file(args.model_file, model, sets[1][0])
    return model


if __name__ == "__main__":
    main()
