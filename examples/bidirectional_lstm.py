"""A sparse bidirectional LSTM finds where words begin in text without spaces.

It reads 32 letters at a time of the reference of the Python language, which
comes with Python, and says of each letter whether it begins a word. It is
judged by the F1 score of beginnings in chapters that it has not read, against
twins: with all weights, and with as few that stay where they are.
"""

import re
from pydoc_data.topics import topics

import keras
import numpy as np
import shared
from keras import layers

import dsr_tf

LENGTH = 32


def load_letters(*chapters):
    """Letters, from 0 to 25, and whether each begins a word."""
    text = " ".join(topics[chapter] for chapter in chapters)
    words = re.findall("[a-z]+", text.lower())
    letters = np.array([ord(a) - ord("a") for word in words for a in word])
    begins = np.array([not i for word in words for i in range(len(word))])
    size = len(letters) // LENGTH * LENGTH
    shape = (-1, LENGTH)
    return letters[:size].reshape(shape), begins[:size].reshape(shape)


def make_model():
    keras.utils.set_random_seed(0)
    lstm = layers.LSTM(32, return_sequences=True, name="lstm")
    return keras.Sequential(
        [
            keras.Input((LENGTH,), dtype="int32"),
            layers.Embedding(26, 16, name="letters"),
            layers.Bidirectional(lstm, name="both"),
            layers.Dense(1, name="begins"),
            layers.Flatten(),
        ],
        name="segmentation",
    )


def train(model, train_set, test_set, epochs, *callbacks):
    """Train a model; returns its F1 score on the test text."""
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(dsr_tf.optimizers.Adam(1e-2), loss)
    options = {"batch_size": 64, "epochs": epochs, "verbose": 0}
    model.fit(*train_set, callbacks=list(callbacks), **options)
    x, begins = test_set
    found = keras.ops.convert_to_numpy(model(x)) > 0
    return 2 * np.sum(found & begins) / (np.sum(found) + np.sum(begins))


def main(arguments=None):
    args = shared.parse_arguments(arguments, __doc__, epochs=8)
    sets = (
        load_letters("specialnames", "formatstrings", "typesseq", "debugger"),
        load_letters("compound"),
    )
    dense = make_model()
    model, static = (dsr_tf.sparsify(dense, 0.8, seed=0) for _ in range(2))
    method, last = dsr_tf.methods.SET(0.2), args.epochs * 3 // 4
    reallocation = dsr_tf.callbacks.Reallocation(method, 20, last, seed=0)
    print(f"F1 score      {train(model, *sets, args.epochs, reallocation):.3f}")
    print(f"static masks  {train(static, *sets, args.epochs):.3f}")
    print(f"dense         {train(dense, *sets, args.epochs):.3f}")
    print(dsr_tf.sparsity_summary(model))
    model.save(args.model_file)
    shared.check_file(args.model_file, model, sets[1][0])
    return model


if __name__ == "__main__":
    main()
