"""DSR's options of growth, and what grown weights start from."""

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import layers
from dsr_tf import methods
from dsr_tf.callbacks import DynamicSparseReparameterization
from dsr_tf.callbacks import Reallocation
from dsr_tf.methods import grow
from dsr_tf.methods.method import KernelView
from dsr_tf.reallocation.reallocator import Reallocator
from dsr_tf.reallocation.state import ReallocationState
from tests.conftest import assert_same
from tests.conftest import assert_zero_outside_masks
from tests.conftest import needs_tensorflow
from tests.conftest import slow_on_jax
from tests.conftest import snapshot

NUM_DEAD = 12


@pytest.fixture
def data():
    """Of 20 inputs, 12 are always 0, as the border of a picture is."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(64, 20)).astype("float32")
    x[:, :NUM_DEAD] = 0
    return x, generator.integers(0, 3, 64)


def a_model(optimizer="adam", **arguments):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((20,))
    x = layers.SparseDense(
        16, 0.75, activation="tanh", seed=1, name="first", **arguments
    )(inputs)
    x = layers.SparseDense(3, 0.5, seed=2, name="last", **arguments)(x)
    model = keras.Model(inputs, x)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    return model


def fit(model, data, method, epochs=2, **arguments):
    callback = Reallocation(method, period=4, seed=3, **arguments)
    model.fit(
        *data,
        batch_size=8,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[callback],
    )


def generator():
    return np.random.default_rng(7)


def chosen(growth, gradients, count, draws):
    if growth == "alive":
        return grow.at_random_alive(gradients, count, draws)
    scores = grow.SCORES[growth](gradients, count, draws)
    return grow.largest(scores, count)


def test_weights_that_a_gradient_reaches_grow_first():
    gradients = np.array([0, 2, 0, 1, 3], "float32")
    assert sorted(chosen("alive", gradients, 3, generator())) == [1, 3, 4]
    four = chosen("alive", gradients, 4, generator())
    assert {1, 3, 4} < set(four) and len(set(four)) == 4
    # Among them each is as likely as the next, however large.
    draws = generator()
    counts = np.bincount(
        [chosen("alive", gradients, 1, draws)[0] for _ in range(900)],
        minlength=5,
    )
    assert counts[[0, 2]].sum() == 0 and counts[[1, 3, 4]].min() > 240
    # So it is in the bundles of N:M, where scores decide.
    scores = grow.SCORES["alive"](gradients, 3, generator())
    assert sorted(grow.largest(scores, 3)) == [1, 3, 4]
    # All of them alive is a random choice of all.
    assert chosen("alive", gradients + 1, 5, generator()).sum() == 10


def test_half_by_gradient():
    gradients = np.arange(100, dtype="float32")
    found = chosen("half", gradients, 9, generator())
    assert len(set(found)) == 9
    assert {99, 98, 97, 96} <= set(found)
    assert min(found) < 90
    assert chosen("half", gradients, 1, generator())[0] < 90


@pytest.mark.parametrize(
    ("arguments", "num_counted"), [({}, 3), ({"counts_zeros": False}, 1)]
)
def test_which_weights_count(arguments, num_counted):
    method = methods.DSR(4, initial_threshold=0.5, **arguments)
    view = KernelView(np.array([0, 0.4, 0.6, 0], "float32"), 9, 1)
    (chosen,) = method.prune([view], ReallocationState(), 0)
    assert chosen.tolist() == [True, True, False, True]
    assert method.num_counted(view, chosen) == num_counted


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({"optimizer": "sgd"}, marks=slow_on_jax),
        pytest.param({"optimizer": "adam"}, marks=pytest.mark.slow),
        pytest.param(
            {"granularity": "block:4x1", "num_slots": 3}, marks=slow_on_jax
        ),
        {"granularity": "block:4x1", "storage": "blocks"},
        pytest.param({"storage": "lists"}, marks=needs_tensorflow),
    ],
)
def test_no_weight_grows_where_no_gradient_arrives(data, arguments):
    grown = {}
    for growth in ("random", "alive"):
        model, moved = a_model(**arguments), []
        (weight,) = dsr_tf.masked_weights(model.get_layer("first"))
        before = num_dead(weight)
        method = methods.DSR(0.3, initial_threshold=0.05, growth=growth)
        fit(model, data, method, listener=moved.append)
        assert sum(record.num_grown for record in moved) > 30
        if "optimizer" in arguments:  # Whole kernels, and masks of them.
            assert_zero_outside_masks(model)
        grown[growth] = num_dead(weight) - before
    # There is room for all of them where there is a gradient.
    assert grown["alive"] <= 0 and grown["random"] > grown["alive"]


def num_dead(weight):
    """Active groups of inputs that are always 0."""
    size = weight.grouping.num_groups * NUM_DEAD // 20
    return np.count_nonzero(weight.variable.places() < size)


@pytest.mark.parametrize(
    "storage", ["masked", pytest.param("lists", marks=needs_tensorflow)]
)
def test_what_grown_weights_start_from(storage):
    model = a_model(storage=storage)
    x, y = np.ones((8, 20), "float32"), np.zeros(8)
    model.train_on_batch(x, y)
    method = methods.DSR(0.3, initial_threshold=0.1, start_magnitude=1e-5)
    weights = dsr_tf.masked_weights(model)
    before = [dict(active_of(weight)) for weight in weights]
    record = Reallocator(model, method).step(model.optimizer, 1)
    assert record.num_grown > 5
    signs = set()
    for weight, old in zip(weights, before):
        new = dict(active_of(weight))
        grown = new.keys() - old.keys()
        assert len(grown) == record.grown[weight.path]
        assert all(new[place] == old[place] for place in new.keys() - grown)
        for place in grown:
            assert abs(new[place]) == pytest.approx(1e-5)
            signs.add(np.sign(new[place]))
    assert signs == {-1, 1}


def active_of(weight):
    variable = weight.variable
    return zip(variable.places().tolist(), variable.groups()[:, 0].tolist())


def test_masked_and_stored_start_alike():
    method = methods.DSR(0.3, initial_threshold=0.1, start_magnitude=1e-3)
    found = []
    for storage in ("masked", "blocks"):
        model = a_model(storage=storage, granularity="block:4")
        if storage == "masked":
            model = dsr_tf.with_storage(
                a_model(storage="blocks", granularity="block:4"), "masked"
            )
            model.compile("adam", "mse")
        model.optimizer.build(model.trainable_variables)
        Reallocator(model, method).step(model.optimizer, 1)
        found.append(
            [
                (w.variable.places(), w.variable.groups())
                for w in dsr_tf.masked_weights(model)
            ]
        )
    for masked, stored in zip(*found):
        for ours, theirs in zip(masked, stored):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "growth",
    [
        pytest.param(name, marks=[] if name == "alive" else pytest.mark.slow)
        for name in grow.SCORES
    ],
)
def test_goes_on_after_loading(data, growth, tmp_path):
    method = methods.DSR(
        0.3,
        initial_threshold=0.05,
        growth=growth,
        start_magnitude=1e-4,
        counts_zeros=False,
    )
    one, two = a_model(), a_model()
    fit(one, data, method, epochs=1)
    one.save(tmp_path / "model.keras")
    fit(one, data, method, epochs=1)
    two = keras.models.load_model(tmp_path / "model.keras")
    fit(two, data, method, epochs=1)
    assert_same(snapshot(one), snapshot(two))


@pytest.mark.parametrize(
    "arguments",
    [
        {"growth": "dead"},
        {"growth": None},
        {"growth": ["alive"]},
        {"start_magnitude": -1},
        {"start_magnitude": float("inf")},
        {"start_magnitude": "1"},
        {"counts_zeros": 1},
    ],
)
def test_bad_arguments(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"`{name}` must.*Received: {name}="):
        methods.DSR(**arguments)
    with pytest.raises(ValueError, match=f"`{name}` must"):
        DynamicSparseReparameterization(**arguments)


def test_the_short_callback_takes_all_that_the_method_takes():
    arguments = dict(growth="half", start_magnitude=1e-5, counts_zeros=False)
    callback = DynamicSparseReparameterization(0.2, **arguments)
    assert callback.method == methods.DSR(0.2, **arguments)
