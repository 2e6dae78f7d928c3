"""A small BERT of KerasHub, sparse from the start, tells the subject of a text.

Needs `pip install keras-hub`. The weights are random at the start, for there
is no download; the texts are those of `transformer_classifier.py`. The twin
has all weights.
"""

import keras
import keras_hub
import numpy as np
import shared

import dsr_tf

NUM_WORDS, LENGTH = 2000, 32


def make_model():
    keras.utils.set_random_seed(0)
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=NUM_WORDS,
        num_layers=1,
        num_heads=4,
        hidden_dim=32,
        intermediate_dim=128,
        max_sequence_length=LENGTH,
    )
    x = backbone(backbone.input)["pooled_output"]
    x = keras.layers.Dense(4, name="subject")(x)
    return keras.Model(backbone.input, x, name="classifier")


def as_inputs(x):
    return {
        "token_ids": x,
        "segment_ids": np.zeros_like(x),
        "padding_mask": (x != 0).astype("int32"),
    }


def train(model, train_set, test_set, epochs, *callbacks):
    """Train a model; returns its accuracy on the test texts."""
    (x, y), (x_test, y_test) = train_set, test_set
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(dsr_tf.optimizers.Adam(2e-3), loss, metrics=["accuracy"])
    options = {"epochs": epochs, "callbacks": list(callbacks), "verbose": 0}
    model.fit(as_inputs(x), y, **options)
    return model.evaluate(as_inputs(x_test), y_test, verbose=0)[1]


def main(arguments=None):
    args = shared.parse_arguments(arguments, __doc__, epochs=6)
    sets = shared.load_texts(NUM_WORDS, LENGTH)
    dense = make_model()
    model = dsr_tf.sparsify(dense, 0.8, seed=0)
    method, last = dsr_tf.methods.SET(0.2), args.epochs * 3 // 4
    reallocation = dsr_tf.callbacks.Reallocation(method, 40, last, seed=0)
    print(f"accuracy      {train(model, *sets, args.epochs, reallocation):.3f}")
    print(f"dense         {train(dense, *sets, args.epochs):.3f}")
    print(dsr_tf.sparsity_summary(model))
    model.save(args.model_file)
    x = as_inputs(sets[1][0])
    shared.check_file(args.model_file, model, x)
    return model


if __name__ == "__main__":
    main()
