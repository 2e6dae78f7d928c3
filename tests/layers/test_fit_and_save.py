"""Three kinds of model, three optimizers, two precisions: fit, save, load in
a new process, same outputs to the bit, and training goes on."""

import subprocess
import sys

import keras
import numpy as np

import dsr_tf
from dsr_tf import layers
from tests.conftest import by_hand_on_jax

X = np.random.default_rng(0).normal(size=(64, 10)).astype("float32")
Y = (X.sum(axis=1) > 0).astype("int32")

CASES = [
    ("sequential", "sgd", "float32"),
    ("functional", "adam", "mixed_bfloat16"),
    ("subclassed", "adamw", "float32"),
]


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = [layers.SparseDense(16, 0.5, activation="relu", seed=1)]
        self.head = layers.SparseDense(2, 0.5, seed=2, dtype="float32")

    def call(self, x):
        return self.head(self.hidden[0](x))


def make(kind):
    if kind == "subclassed":
        return Subclassed()
    stack = [
        layers.SparseDense(16, 0.5, activation="relu", seed=1),
        layers.SparseDense(2, 0.5, seed=2, dtype="float32"),
    ]
    if kind == "sequential":
        return keras.Sequential([keras.Input((10,)), *stack])
    inputs = keras.Input((10,))
    return keras.Model(inputs, stack[1](stack[0](inputs)))


def reallocation(records=None):
    return dsr_tf.callbacks.DynamicSparseReparameterization(
        10,
        period=3,
        initial_threshold=0.05,
        seed=0,
        listener=None if records is None else records.append,
    )


def fit(model, records=None, epochs=2):
    model.fit(
        X,
        Y,
        batch_size=8,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[reallocation(records)],
    )


def file_name(case):
    return "-".join(case) + ".keras"


def load_and_go_on(folder):
    """What the new process does, for all cases."""
    for case in CASES:
        keras.config.set_dtype_policy(case[2])
        model = keras.models.load_model(f"{folder}/{file_name(case)}")
        loaded = model.predict(X, verbose=0)
        records = []
        fit(model, records)
        trained = model.predict(X, verbose=0)
        np.savez(
            f"{folder}/{file_name(case)}.npz",
            loaded=loaded,
            trained=trained,
            steps=[r.step for r in records],
            active=[r.num_active for r in records],
        )


def results(folder):
    """Train and save every case, then load all of them elsewhere.

    Returns:
        What each gives before and after the training that goes on.
    """
    expected = {}
    for case in CASES:
        keras.config.set_dtype_policy(case[2])
        keras.utils.set_random_seed(0)
        model = make(case[0])
        model.compile(
            case[1],
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        fit(model)
        model.save(folder / file_name(case))
        before = model.predict(X, verbose=0)
        fit(model)
        expected[case] = before, model.predict(X, verbose=0)
    keras.config.set_dtype_policy("float32")
    code = (
        "from tests.layers.test_fit_and_save import load_and_go_on\n"
        "import sys\n"
        "load_and_go_on(sys.argv[1])"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)
    return expected


@by_hand_on_jax
def test_a_new_process_goes_on_to_the_bit(tmp_path):
    """One test, so that no two of pytest's processes do all this."""
    for case, (loaded, trained) in results(tmp_path).items():
        with np.load(tmp_path / f"{file_name(case)}.npz") as found:
            np.testing.assert_array_equal(found["loaded"], loaded, str(case))
            np.testing.assert_array_equal(found["trained"], trained, str(case))
            # 16 steps before; the first due after them is 18, then every 3.
            assert found["steps"].tolist() == [18, 21, 24, 27, 30], case
            assert set(found["active"].tolist()) == {96}, case
