"""Transfer: a sparse network that knows five digits learns the five others.

It learns the scanned digits 0 to 4 first. Then its convolutions are frozen, so
their active weights stay where they are, and a new sparse head learns 5 to 9
from 20 images. At last all is trained on. The twin learns 5 to 9 from the same
images from scratch, for as long.
"""

import keras
import shared
from keras import layers

import dsr_tf


def make_backbone():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(32, 3, activation="relu", name="first"),
            layers.Conv2D(64, 3, activation="relu", name="second"),
            layers.Flatten(),
        ],
        name="backbone",
    )


def with_head(backbone):
    """A sparse model; a backbone that is sparse already keeps its masks."""
    model = keras.Sequential([backbone, layers.Dense(5, name="digit")])
    return dsr_tf.sparsify(model, 0.9, seed=0)


def train(model, train_set, test_set, epochs):
    """Train a model; returns its accuracy on the test images."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(dsr_tf.optimizers.Adam(5e-3), loss, metrics=["accuracy"])
    reallocation = dsr_tf.callbacks.Reallocation(
        dsr_tf.methods.SET(0.2), 10, stop_epoch=epochs * 3 // 4, seed=0
    )
    options = {"batch_size": 16, "epochs": epochs, "verbose": 0}
    model.fit(*train_set, callbacks=[reallocation], **options)
    return model.evaluate(*test_set, verbose=0)[1]


def main(arguments=None):
    args = shared.parse_arguments(arguments, __doc__, epochs=5)
    sets = shared.load_digits(8, 8, 1)
    low = [(x[y < 5], y[y < 5]) for x, y in sets]
    (x, y), high_test = [(x[y >= 5], y[y >= 5] - 5) for x, y in sets]
    high = (x[:20], y[:20]), high_test
    keras.utils.set_random_seed(0)

    first = with_head(make_backbone())
    print(f"0 to 4        {train(first, *low, args.epochs):.3f}")
    backbone = first.get_layer("backbone")
    backbone.trainable = False
    model = with_head(backbone)
    print(f"new head      {train(model, *high, 4 * args.epochs):.3f}")
    print(dsr_tf.sparsity_summary(model))
    model.get_layer("backbone").trainable = True
    print(f"trained on    {train(model, *high, 4 * args.epochs):.3f}")
    scratch = with_head(make_backbone())
    print(f"from scratch  {train(scratch, *high, 8 * args.epochs):.3f}")
    model.save(args.model_file)
    shared.check_file(args.model_file, model, high_test[0])
    return model


if __name__ == "__main__":
    main()
