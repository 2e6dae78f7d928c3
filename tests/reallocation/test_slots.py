"""Slots of storages through training: their number stays what it was."""

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import methods
from dsr_tf.layers import SparseDense
from dsr_tf.layers import masked_weights
from dsr_tf.reallocation.reallocator import Reallocator
from tests.conftest import needs_tensorflow
from tests.conftest import values

GRANULARITIES = {"blocks": "block:8", "lists": "element"}
STORAGES = ["blocks", pytest.param("lists", marks=needs_tensorflow)]


def a_model(storage, sparsities=(0.8, 0.8), num_slots=(None, None)):
    inputs = x = keras.Input((64,))
    for seed, (sparsity, number) in enumerate(zip(sparsities, num_slots)):
        x = SparseDense(
            64,
            sparsity,
            GRANULARITIES[storage],
            seed,
            storage=storage,
            num_slots=number,
        )(x)
    model = keras.Model(inputs, x)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    x = np.random.default_rng(0).normal(size=(32, 64)).astype("float32")
    model.fit(x, x, verbose=0)
    return model


def scale(model, factors):
    """So that small weights are those of the first kernel, say."""
    for weight, factor in zip(masked_weights(model), factors):
        weight.kernel.assign(values(weight.kernel) * factor)


@pytest.mark.parametrize("storage", STORAGES)
def test_copies_have_as_many_slots_whatever_has_moved(storage, tmp_path):
    model = a_model(storage)
    before = [w.num_active for w in masked_weights(model)]
    scale(model, (0.001, 1))
    Reallocator(model, methods.DSR(0.3, initial_threshold=1e-3)).step(
        model.optimizer, 1
    )
    assert [w.num_active for w in masked_weights(model)] != before
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    copy = keras.models.clone_model(model)
    shapes = [tuple(w.kernel.shape) for w in masked_weights(model)]
    for other in (loaded, copy):
        assert [tuple(w.kernel.shape) for w in masked_weights(other)] == shapes
    ours, theirs = model.optimizer.variables, loaded.optimizer.variables
    for our, their in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(values(our), values(their))


@pytest.mark.parametrize("storage", ["masked", *STORAGES])
def test_the_budget_is_exact_beside_a_kernel_without_inactive_weights(storage):
    """It grows nothing that it loses, so others must have slots for that."""
    granularity = GRANULARITIES.get(storage, "element")
    tight = {"blocks": 5, "lists": 2100, "masked": 2100}[storage]
    inputs = x = keras.Input((64,))
    x = SparseDense(64, 0.0, granularity, seed=0)(x)
    x = SparseDense(64, 0.5, granularity, 1, storage=storage, num_slots=tight)(
        x
    )
    model = keras.Model(inputs, x)
    model.compile("sgd", "mse")
    for number in (0.3, 0.6):
        scale(model, (0.01, 1))
        method = methods.DSR(number, initial_threshold=0.05)
        reallocator = Reallocator(model, method)
        before = sum(w.num_active for w in masked_weights(model))
        for step in range(1, 4):
            record = reallocator.step(model.optimizer, step)
            assert record.num_active + record.carry == before
            assert record.num_pruned > 0


@pytest.mark.parametrize("storage", STORAGES)
def test_a_mask_of_another_size(storage):
    (weight, _) = masked_weights(a_model(storage))
    with pytest.raises(ValueError):
        weight.set_mask(np.ones(7, "bool"))


@pytest.mark.parametrize("storage", STORAGES)
def test_a_model_stripped_in_place_is_trained_on(storage):
    model = dsr_tf.strip(a_model(storage), inplace=True)
    x = np.random.default_rng(0).normal(size=(32, 64)).astype("float32")
    before = values(model.layers[-1].kernel).copy()
    model.fit(x, x, verbose=0)
    assert (values(model.layers[-1].kernel) != before).any()


@pytest.mark.parametrize("granularity", ["channel", "block:32"])
def test_blocks_of_full_columns_move_to_others(granularity):
    """A column all of whose blocks are active grows none of them again, but
    others have slots and free blocks."""
    model = keras.Sequential([keras.Input((32,))])
    model.add(SparseDense(128, 0.5, granularity, 0, storage="blocks"))
    model.compile("sgd", "mse")
    (weight,) = masked_weights(model)
    before, budget = weight.variable.places(), weight.num_active
    record = Reallocator(model, methods.SET(0.5)).step(model.optimizer, 1)
    assert record.num_pruned == record.num_grown == budget // 2
    after = weight.variable.places()
    assert len(np.setdiff1d(after, before)) == len(before) // 2
