"""Rows of embeddings move as those of masks do, beside other storages."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dsr_tf
from dsr_tf import methods
from dsr_tf.layers import SparseDense
from dsr_tf.layers import SparseEmbedding
from dsr_tf.layers import masked_weights
from dsr_tf.reallocation.reallocator import Reallocator
from tests.conftest import slow_on_jax
from tests.conftest import values
from tests.reallocation.test_twins import assert_alike
from tests.reallocation.test_twins import few
from tests.reallocation.test_twins import renew

METHODS = {
    "dsr": lambda: methods.DSR(100, initial_threshold=0.02),
    "set": lambda: methods.SET(0.3),
}


def twins(num_slots, optimizer="adam", sparsity=0.7):
    """Two tables and a matrix of blocks, and the masked twin; optimizers
    have slots for both."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,), dtype="int32")
    tables = [
        SparseEmbedding(
            30,
            size,
            sparsity,
            seed=size,
            storage="rows",
            num_slots=n,
            name=f"words_{size}",
        )(inputs)
        for size, n in zip((12, 8), num_slots)
    ]
    x = keras.layers.Flatten()(keras.layers.Concatenate()(tables))
    x = SparseDense(8, 0.5, "block:4", 2, storage="blocks", name="dense")(x)
    stored = keras.Model(inputs, x)
    models = stored, dsr_tf.with_storage(stored, "masked")
    for model in models:
        model.compile(optimizer, "mse")
        model.optimizer.build(model.trainable_variables)
    return models


@pytest.mark.parametrize(
    ("method", "num_slots", "number", "optimizer"),
    [
        ("dsr", (None, None), 15, "sgd"),
        ("set", (None, None), 15, "sgd"),
        pytest.param("dsr", (9, 5), 10, "adam", marks=slow_on_jax),
        pytest.param("dsr", (None, None), 200, "sgd", marks=pytest.mark.slow),
        pytest.param("set", (None, None), 200, "sgd", marks=pytest.mark.slow),
    ],
)
def test_reallocations(method, num_slots, number, optimizer):
    if keras.backend.backend() == "jax":
        number = 4  # It compiles for each number of places anew.
    models = twins(num_slots, optimizer)
    reallocators = [Reallocator(m, METHODS[method]()) for m in models]
    budget = sum(weight.num_active for weight in masked_weights(models[0]))
    generator = np.random.default_rng(0)
    numbers = set()
    for step in range(number):
        renew(models, generator)
        ours, theirs = (
            r.step(m.optimizer, step) for r, m in zip(reallocators, models)
        )
        assert ours == theirs and ours.num_grown > 0
        assert ours.num_active + ours.carry == budget
        numbers.add(ours.active["words_12/embeddings"])
        assert_alike(models)
    # The budget moves between tables with DSR only.
    assert (len(numbers) > 1) == (method == "dsr")


@few
@given(
    st.sampled_from(["dsr", "set"]),
    st.tuples(st.integers(1, 12), st.integers(1, 8)),
    st.floats(0.4, 0.9),
    st.integers(0, 99),
)
def test_the_budget_is_exact_where_slots_are_few(
    method, num_slots, sparsity, seed
):
    try:
        stored, _ = models = twins(num_slots, "sgd", sparsity)
    except ValueError as error:
        assert "`num_slots` must be at least" in str(error)
        return
    reallocator = Reallocator(stored, METHODS[method]())
    budget = sum(weight.num_active for weight in masked_weights(stored))
    generator = np.random.default_rng(seed)
    for step in range(5):
        renew(models, generator)
        record = reallocator.step(stored.optimizer, step)
        assert record.num_active + record.carry == budget
        for weight in masked_weights(stored):
            weight.grouping.check_places(weight.variable.places())


def test_full_rows_keep_their_numbers():
    """Where all slots are in use, what a row loses it grows elsewhere."""
    model, _ = models = twins((3, 2), "sgd", 0.75)
    model.get_layer("dense").trainable = False
    model.compile("sgd", "mse")
    generator = np.random.default_rng(0)
    reallocator = Reallocator(model, methods.SET(0.3))
    table = masked_weights(model)[0]
    for step in range(5):
        before = table.variable.places()
        renew(models, generator)
        record = reallocator.step(model.optimizer, step)
        assert record.grown["words_12/embeddings"] == 27
        after = table.variable.places()
        assert len(np.setdiff1d(after, before)) == 27
        assert table.grouping.room.counts(after).tolist() == [3] * 30
    assert (values(table.variable.where[0]) < 12).all()


def test_no_list_of_all_places():
    """Of tables, a reallocation lists what is stored only."""
    import tracemalloc

    layer = SparseEmbedding(20_000, 2_000, 0.999, seed=0, storage="rows")
    model = keras.Sequential([keras.Input((1,), dtype="int32"), layer])
    model.compile("sgd", "mse")
    reallocator = Reallocator(model, methods.SET(0.3))
    tracemalloc.start()
    reallocator.step(model.optimizer, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000 * 2_000 / 4
