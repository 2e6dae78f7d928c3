"""A recommender with a sparse table of users.

Users are the scanned digits, items their 64 pixels, and ratings the grey levels
from 0 to 16: a table of real numbers of which some are not known. A tenth of
them is the test. The twins have all weights, and as few that stay where they
are; a rule to beat is the mean of an item.
"""

import keras
import numpy as np
import shared
from keras import layers

import dsr_tf


def make_model(num_users, num_items, size=32):
    keras.utils.set_random_seed(0)
    user = keras.Input((), dtype="int32", name="user")
    item = keras.Input((), dtype="int32", name="item")
    users = layers.Embedding(num_users, size, "normal", name="users")(user)
    items = layers.Embedding(num_items, size, "normal", name="items")(item)
    x = layers.Multiply()([users, items])
    x = layers.Dense(64, "relu", name="hidden")(x)
    x = layers.Dense(1, name="rating")(x)
    return keras.Model([user, item], x, name="recommender")


def error(predicted, ratings):
    """The root of the mean square error, in grey levels."""
    return np.sqrt(np.mean((predicted - ratings) ** 2))


def train(model, known, unknown, epochs, *callbacks):
    """Train on known ratings; returns the error of the unknown ones."""
    user, item, rating = known
    model.compile(dsr_tf.optimizers.Adam(1e-2), "mse")
    options = {"epochs": epochs, "callbacks": list(callbacks), "verbose": 0}
    model.fit([user, item], rating, batch_size=1024, **options)
    outputs = keras.ops.convert_to_numpy(model(list(unknown[:2])))
    return error(outputs[:, 0], unknown[2])


def main(arguments=None):
    args = shared.parse_arguments(arguments, __doc__, epochs=12)
    levels = np.concatenate([x for x, _ in shared.load_digits(64)]) * 16
    users, items = np.indices(levels.shape, "int32")
    is_known = np.random.default_rng(0).random(levels.shape) < 0.9
    known, unknown = (
        (users[chosen], items[chosen], levels[chosen])
        for chosen in (is_known, ~is_known)
    )
    dense = make_model(*levels.shape)
    model, static = (
        dsr_tf.sparsify(dense, 0.8, filters="users", seed=0) for _ in range(2)
    )
    method, last = dsr_tf.methods.SET(0.1), args.epochs * 3 // 4
    reallocation = dsr_tf.callbacks.Reallocation(method, 50, last, seed=0)
    result = train(model, known, unknown, args.epochs, reallocation)
    print(f"error of ratings  {result:.2f}")
    print(f"static masks      {train(static, known, unknown, args.epochs):.2f}")
    print(f"dense             {train(dense, known, unknown, args.epochs):.2f}")
    means = np.mean(levels, axis=0, where=is_known)
    print(f"mean of the item  {error(means[unknown[1]], unknown[2]):.2f}")
    print(dsr_tf.sparsity_summary(model))
    model.save(args.model_file)
    shared.check_file(args.model_file, model, list(unknown[:2]))
    return model


if __name__ == "__main__":
    main()
