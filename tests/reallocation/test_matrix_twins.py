"""Convolutions of 1x1 and attention move stored weights as masks do."""

import itertools

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf.layers import masked_weights
from dsr_tf.reallocation.reallocator import Reallocator
from tests.conftest import needs_tensorflow
from tests.reallocation.test_twins import GRANULARITIES
from tests.reallocation.test_twins import METHODS
from tests.reallocation.test_twins import assert_alike
from tests.reallocation.test_twins import renew
from tests.reallocation.test_twins import saved_after


def pointwise():
    """As in MobileNet, and a projection of a shortcut."""
    inputs = keras.Input((6, 6, 32))
    x = keras.layers.Conv2D(64, 1, name="expand")(inputs)
    x = keras.layers.DepthwiseConv2D(3, 2, "same", name="depthwise")(x)
    x = keras.layers.Conv2D(48, 1, name="project")(x)
    shortcut = keras.layers.Conv2D(48, 1, strides=2, name="shortcut")(inputs)
    return keras.Model(inputs, keras.layers.Add()([x, shortcut]))


def transformer():
    """A block whose projections have heads narrower and wider than blocks."""
    inputs = keras.Input((5, 32))
    # JAX's attention takes heads of one width only.
    width = 32 if keras.backend.backend() == "tensorflow" else 8
    attend = keras.layers.MultiHeadAttention(
        4, 8, value_dim=width, name="attention"
    )
    x = attend(inputs, inputs)
    x = keras.layers.LayerNormalization()(keras.layers.Add()([x, inputs]))
    y = keras.layers.Dense(64, activation="gelu", name="wide")(x)
    y = keras.layers.Dense(32, name="narrow")(y)
    return keras.Model(inputs, keras.layers.Add()([x, y]))


MODELS = {"pointwise": pointwise, "transformer": transformer}
# Each pair of a storage, a model and a method; the rest by hand.
OFTEN = [
    ("blocks", "pointwise", "dsr"),
    ("blocks", "transformer", "set"),
    ("lists", "pointwise", "set"),
    ("lists", "transformer", "dsr"),
]
ON_JAX = ("blocks", "pointwise")
CASES = [
    pytest.param(
        *case,
        marks=[
            *([] if case in OFTEN else [pytest.mark.slow]),
            *([] if case[:2] == ON_JAX else [needs_tensorflow]),
        ],
    )
    for case in itertools.product(GRANULARITIES, MODELS, ("dsr", "set"))
]


def sparse(make, storage, **arguments):
    keras.utils.set_random_seed(0)
    return dsr_tf.sparsify(
        make(),
        0.7,
        filters=lambda layer: layer.name != "depthwise",
        granularity=GRANULARITIES[storage],
        storage=storage,
        seed=0,
        **arguments,
    )


@pytest.mark.parametrize("storage, make, method", CASES)
def test_reallocations(storage, make, method):
    stored = sparse(MODELS[make], storage)
    weights = masked_weights(stored)
    assert {weight.layer.storage for weight in weights} == {storage}
    models = [stored, dsr_tf.with_storage(stored, "masked")]
    for model in models:
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
        model.optimizer.build(model.trainable_variables)
    reallocators = [Reallocator(m, METHODS[method]()) for m in models]
    budget = sum(weight.num_active for weight in weights)
    generator = np.random.default_rng(0)
    num_moved = 0
    for step in range(10 if keras.backend.backend() == "tensorflow" else 3):
        renew(models, generator)
        ours, theirs = (
            r.step(m.optimizer, step) for r, m in zip(reallocators, models)
        )
        assert ours == theirs
        assert ours.num_active + ours.carry == budget
        num_moved += ours.num_grown
        assert_alike(models)
    assert num_moved > 0


@pytest.mark.parametrize(
    "make", [pointwise, pytest.param(transformer, marks=pytest.mark.slow)]
)
def test_in_fit_and_resumed(make, tmp_path):
    """It learns while weights move, and goes on from a file to the bit."""

    def fitted(model, epochs, first=0, saved=None):
        callback = dsr_tf.callbacks.DynamicSparseReparameterization(
            num_reallocated=0.2, initial_threshold=0.05, period=3, seed=0
        )
        generator = np.random.default_rng(1)
        x = generator.normal(size=(64, *model.input_shape[1:]))
        y = generator.normal(size=(64, *model.output_shape[1:])) / 2 + 1
        history = model.fit(
            x.astype("float32"),
            y.astype("float32"),
            batch_size=16,
            initial_epoch=first,
            epochs=epochs,
            shuffle=False,
            verbose=0,
            callbacks=[callback, *saved_after(2, model, saved)],
        )
        return history.history

    whole, path = sparse(make, "blocks"), tmp_path / "m.keras"
    whole.compile(keras.optimizers.Adam(0.01), "mse")
    before = [weight.variable.places() for weight in masked_weights(whole)]
    history = fitted(whole, 6, saved=path)
    assert history["loss"][-1] < 0.9 * history["loss"][0]
    after = [weight.variable.places() for weight in masked_weights(whole)]
    assert not all(map(np.array_equal, before, after))
    resumed = keras.models.load_model(path)
    fitted(resumed, 6, 3)
    for ours, theirs in zip(resumed.variables, whole.variables):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(ours), keras.ops.convert_to_numpy(theirs)
        )
