"""Measures what docs/choosing.md says of the scanned digits.

    python examples/experiments/choosing.py --output_dir=results/digits

Each function that EXPERIMENTS names is an experiment: it trains small networks
with one seed, and gives what each choice led to. Prints a table of each,
mean and standard deviation over the seeds, and writes NAME.json with all runs.
"""

import argparse
import json
import os
import statistics

import keras
import numpy as np
from keras import layers

import dsr_tf
from dsr_tf import data
from dsr_tf.callbacks import DynamicSparseReparameterization
from dsr_tf.callbacks import Reallocation
from dsr_tf.methods import Adaptive
from dsr_tf.methods import RigL
from dsr_tf.training import environment

NUM_TRAINED_ON = 1437
BATCH_SIZE = 50
LEARNING_RATE = 0.1
MOMENTUM = 0.9
ADAM_LEARNING_RATE = 2e-3


def load_split(seed, *shape):
    """Scanned digits, `(x, y), (x_test, y_test)`: each seed tests others."""
    digits = data.load("digits")
    x = np.concatenate([digits.train_images, digits.test_images])
    x = x.reshape(-1, *shape).astype("float32") / 255
    y = np.concatenate([digits.train_labels, digits.test_labels])
    order = np.random.default_rng(seed).permutation(len(x))
    train, test = np.split(order, [NUM_TRAINED_ON])
    return (x[train], y[train]), (x[test], y[test])


def make_perceptron(seed):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(300, activation="relu", name="fc1"),
            layers.Dense(100, activation="relu", name="fc2"),
            layers.Dense(10, name="fc3"),
        ],
        name="perceptron",
    )


def make_lstm(seed):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((8, 8)),
            layers.LSTM(128, name="lstm"),
            layers.Dense(10, name="digit"),
        ],
        name="rows",
    )


def make_loss():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def train(model, sets, epochs, callback=None, optimizer=None):
    """Train a model; returns its accuracy on the test images."""
    (x, y), (x_test, y_test) = sets
    optimizer = optimizer or dsr_tf.optimizers.SGD(
        LEARNING_RATE, momentum=MOMENTUM, nesterov=True
    )
    # To compile so small a network takes longer than to train it.
    model.compile(optimizer, make_loss(), jit_compile=False)
    callbacks = [callback] if callback else []
    model.fit(x, y, BATCH_SIZE, epochs, verbose=0, callbacks=callbacks)
    outputs = keras.ops.convert_to_numpy(model(x_test))
    return float(np.mean(np.argmax(outputs, axis=-1) == y_test))


def make_callbacks(seed, epochs):
    """RigL and DSR as they are by default, and None for fixed masks.

    Both leave the last quarter of the epochs to train what grew last; RigL
    does so by itself.
    """
    stop = epochs * 3 // 4
    dsr = DynamicSparseReparameterization(stop_epoch=stop, seed=seed)
    rigl = Reallocation(RigL(), seed=seed)
    return {"fixed": None, "RigL": rigl, "DSR": dsr}


def first_masks(seed):
    """A twentieth of the perceptron's weights, chosen in several ways."""
    sets = load_split(seed, 64)
    new, trained = make_perceptron(seed), make_perceptron(seed)
    yield "dense, 15 epochs", train(trained, sets, 15)
    snip = {"mask": "snip", "data": sets[0], "loss": make_loss()}
    for name, start, options in (
        ("random, uniform", new, {}),
        ("random, ERK", new, {"distribution": "erk"}),
        ("snip", new, snip),
        ("snip of the trained", trained, snip),
        ("magnitude of the trained", trained, {"mask": "magnitude"}),
        (
            "magnitude of the trained, ERK",
            trained,
            {"mask": "magnitude", "distribution": "erk"},
        ),
        (
            "global magnitude of the trained",
            trained,
            {"mask": "global_magnitude"},
        ),
    ):
        for method, callback in make_callbacks(seed, 20).items():
            model = dsr_tf.sparsify(start, 0.95, seed=seed, **options)
            yield f"{name}: {method}", train(model, sets, 20, callback)


def periods(seed):
    """How often weights move where 3 % of them are active; 20 epochs."""
    sets = load_split(seed, 64)

    def dsr(**options):
        return DynamicSparseReparameterization(seed=seed, **options)

    def rigl(**options):
        return Reallocation(RigL(), seed=seed, **options)

    for name, callback in (
        ("fixed", None),
        ("DSR, five times an epoch", dsr()),
        ("DSR, five times an epoch, to epoch 15", dsr(stop_epoch=15)),
        ("DSR, every 28 updates", dsr(period=28)),
        ("DSR, every 100 updates", dsr(period=100)),
        ("RigL, five times an epoch", rigl()),
        ("RigL, every 28 updates", rigl(period=28)),
        ("RigL, every 100 updates", rigl(period=100)),
    ):
        model = dsr_tf.sparsify(make_perceptron(seed), 0.97, seed=seed)
        yield name, train(model, sets, 20, callback)


def rescaled(seed):
    """The perceptron by ERK, with kernels made larger for lost weights."""
    sets = load_split(seed, 64)
    for method, callback in make_callbacks(seed, 20).items():
        model = dsr_tf.sparsify(
            make_perceptron(seed), 0.95, "erk", seed=seed, rescale=True
        )
        yield method, train(model, sets, 20, callback)


def faded_outputs(seed):
    """How many times smaller outputs are behind five layers at 0.9."""
    keras.utils.set_random_seed(seed)
    hidden = [layers.Dense(256, activation="relu") for _ in range(4)]
    model = keras.Sequential([keras.Input((64,)), *hidden, layers.Dense(10)])
    (x, _), _ = load_split(seed, 64)
    for name, rescale in (("as it is", False), ("rescaled", True)):
        sparse = dsr_tf.sparsify(model, 0.9, seed=seed, rescale=rescale)
        dense_size, size = (
            np.std(keras.ops.convert_to_numpy(each(x)))
            for each in (model, sparse)
        )
        yield name, float(dense_size / size)


def scopes(seed):
    """Of what the smallest weights go, for 30 epochs, at two rates."""
    sets = load_split(seed, 64)
    for rate in (LEARNING_RATE, LEARNING_RATE / 2):
        for start in ("uniform", "erk"):
            for name, method in (
                ("fixed", None),
                ("RigL", RigL()),
                ("the whole model", Adaptive(growth="random", floor=0)),
                ("LAMP", Adaptive(scope="lamp", growth="random", floor=0)),
            ):
                model = dsr_tf.sparsify(
                    make_perceptron(seed), 0.95, start, seed=seed
                )
                callback = method and Reallocation(method, seed=seed)
                optimizer = dsr_tf.optimizers.SGD(
                    rate, momentum=MOMENTUM, nesterov=True
                )
                accuracy = train(model, sets, 30, callback, optimizer)
                yield f"{start}, rate {rate:g}: {name}", accuracy


def rows(seed):
    """A tenth of an LSTM's weights, which reads rows; Adam, 20 epochs."""
    sets = load_split(seed, 8, 8)
    for start in ("uniform", "erk"):
        for method, callback in make_callbacks(seed, 20).items():
            model = dsr_tf.sparsify(make_lstm(seed), 0.9, start, seed=seed)
            adam = dsr_tf.optimizers.Adam(ADAM_LEARNING_RATE)
            yield f"{start}: {method}", train(model, sets, 20, callback, adam)


EXPERIMENTS = {
    experiment.__name__: experiment
    for experiment in (
        first_masks,
        periods,
        rescaled,
        faded_outputs,
        scopes,
        rows,
    )
}


def measure(name, num_seeds):
    """All runs of an experiment, each as a dict."""
    what = "times_smaller" if name == "faded_outputs" else "test_accuracy"
    return [
        {"experiment": name, "choice": choice, "seed": seed, what: value}
        for seed in range(num_seeds)
        for choice, value in EXPERIMENTS[name](seed)
    ]


def print_table(name, runs):
    print(f"\n{name}: {EXPERIMENTS[name].__doc__}")
    values = {}
    for _, choice, _, value in map(dict.values, runs):
        values.setdefault(choice, []).append(value)
    for choice, found in values.items():
        percent = 1 if name == "faded_outputs" else 100
        mean = percent * statistics.mean(found)
        spread = (
            f" ± {percent * statistics.stdev(found):.2f}" if found[1:] else ""
        )
        print(f"{choice:40} {mean:7.2f}{spread}", flush=True)


def write(path, runs):
    made_with = environment.describe()
    settings = {
        "network": "64-300-100-10; rows: LSTM(128), Dense(10)",
        "trained_on": NUM_TRAINED_ON,
        "batch_size": BATCH_SIZE,
        "learning_rate": LEARNING_RATE,
        "momentum": MOMENTUM,
        "nesterov": True,
        "adam_learning_rate": ADAM_LEARNING_RATE,
    }
    versions = ("version", "tensorflow", "keras", "python")
    content = {
        "settings": settings,
        **{key: made_with[key] for key in versions},
        "device": ", ".join(device["name"] for device in made_with["device"]),
    }
    lines = ",\n  ".join(map(json.dumps, runs))
    head = json.dumps(content)[:-1]
    # A file that is there is never overwritten.
    with open(path, "x", encoding="utf-8") as file:
        file.write(f'{head},\n "runs": [\n  {lines}\n]}}\n')


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "experiments", nargs="*", help=f"of {', '.join(EXPERIMENTS)}; else all"
    )
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--output_dir", required=True)
    args = parser.parse_args(arguments)
    names = args.experiments or list(EXPERIMENTS)
    if unknown := set(names) - set(EXPERIMENTS):
        parser.error(f"no experiment: {', '.join(sorted(unknown))}")
    os.makedirs(args.output_dir, exist_ok=True)
    paths = [os.path.join(args.output_dir, f"{name}.json") for name in names]
    for path in filter(os.path.exists, paths):
        parser.error(f"there is {path} already")
    for name, path in zip(names, paths):
        runs = measure(name, args.seeds)
        print_table(name, runs)
        write(path, runs)


if __name__ == "__main__":
    main()
