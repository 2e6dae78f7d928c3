"""What stores active weights only moves them as masks do: to the same places.

Weights are drawn anew before each reallocation, the same for both models, so
that rounding of their different products decides nothing.
"""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from keras import ops

import dsr_tf
from dsr_tf import methods
from dsr_tf.core.optimizer_slots import slots
from dsr_tf.layers import SparseDense
from dsr_tf.layers import masked_weights
from dsr_tf.reallocation.reallocator import Reallocator
from tests.conftest import values

METHODS = {
    "dsr": lambda: methods.DSR(2_000, initial_threshold=0.02),
    "set": lambda: methods.SET(0.3),
    "static": methods.Static,
}


def twins(num_slots, optimizer="adam", sparsity=0.7):
    """A model that stores blocks, and its masked twin; both have been
    trained, so that optimizers have slots."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((56,))
    x, seed = inputs, 0
    for units, n in zip((64, 48, 10), num_slots):
        seed += 1
        x = SparseDense(
            units,
            sparsity,
            "block:16",
            seed,
            storage="blocks",
            num_slots=n,
            name=f"dense_{seed}",
        )(x)
    stored = keras.Model(inputs, x)
    models = stored, dsr_tf.with_storage(stored, "masked")
    for model in models:
        loss = keras.losses.MeanSquaredError()
        own = keras.optimizers.get(optimizer)
        model.compile(own.from_config(own.get_config()), loss)
        model.train_on_batch(np.ones((4, 56)), np.zeros((4, 10)))
    return models


def renew(models, generator):
    """Give kernels and their slots new numbers, the same in both models."""
    for pair in zip(*map(masked_weights, models)):
        shape = pair[0].grouping.kernel_shape
        whole = generator.normal(0, 0.02, shape).astype("float32")
        drawn = [whole] + [
            generator.normal(size=shape).astype("float32") for _ in range(2)
        ]
        for weight, model in zip(pair, models):
            variable = weight.variable
            places = variable.places()
            found = slots(model.optimizer, weight.kernel)
            held = [weight.kernel, *(slot for slot, _ in found)]
            for array, target in zip(drawn, held):
                groups = weight.grouping.groups(array)[places]
                if variable.is_stored:
                    target.assign(
                        variable._filled(weight.grouping, places, groups, 0)
                    )
                else:
                    target.assign(weight.grouping.kernel_of(places, groups))


def assert_alike(models):
    for stored, masked in zip(*map(masked_weights, models)):
        places = stored.variable.places()
        np.testing.assert_array_equal(places, masked.variable.places())
        np.testing.assert_array_equal(
            stored.variable.groups(), masked.variable.groups()
        )
        for (ours, _), (theirs, _) in zip(
            slots(models[0].optimizer, stored.kernel),
            slots(models[1].optimizer, masked.kernel),
        ):
            np.testing.assert_array_equal(
                stored.variable.groups_of(ours),
                masked.grouping.groups(values(theirs))[places],
            )


@pytest.mark.parametrize(
    ("method", "slots_each", "number"),
    [("dsr", 2, 200), ("set", 2, 200), ("dsr", 4, 20), ("static", 2, 5)],
)
def test_reallocations(method, slots_each, number):
    models = twins((slots_each,) * 3)
    reallocators = [Reallocator(m, METHODS[method]()) for m in models]
    budget = sum(weight.num_active for weight in masked_weights(models[0]))
    generator = np.random.default_rng(0)
    num_moved = 0
    for step in range(number):
        renew(models, generator)
        ours, theirs = (
            r.step(m.optimizer, step) for r, m in zip(reallocators, models)
        )
        assert ours == theirs
        assert ours.num_active + ours.carry == budget
        num_moved += ours.num_grown
        assert_alike(models)
    assert (num_moved > 0) == (method != "static")


@settings(max_examples=8)
@given(
    st.sampled_from(["dsr", "set"]),
    st.lists(st.integers(1, 4), min_size=3, max_size=3),
    st.floats(0.5, 0.9),
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


def test_slots_of_what_moves_start_afresh():
    model, _ = twins((4, 4, 4), keras.optimizers.Adagrad(0.1, 0.3))
    weight = masked_weights(model)[0]
    before = weight.variable.places()
    ((slot, fresh),) = slots(model.optimizer, weight.kernel)
    grown = np.setdiff1d(np.arange(16), before)[:1]
    places = np.sort(np.append(before[1:], grown))
    kept = weight.variable.groups()[1:]
    weight.variable.move(places, [(slot, fresh)])
    is_new = np.isin(places, grown)
    assert not weight.variable.groups()[is_new].any()
    np.testing.assert_array_equal(weight.variable.groups()[~is_new], kept)
    assert (weight.variable.groups_of(slot)[is_new] == np.float32(0.3)).all()
    # Empty slots are as if never used, too.
    array = values(slot).reshape(-1, weight.group_size)
    empty = ~values(weight.variable.where[1]).reshape(-1)
    assert empty.any() and (array[empty] == np.float32(0.3)).all()


def test_in_fit_and_resumed(tmp_path):
    """`fit` goes on from a file as if it had never stopped."""

    def trained(model, epochs, first=0):
        callback = dsr_tf.callbacks.DynamicSparseReparameterization(
            num_reallocated=1_000, initial_threshold=0.05, period=3, seed=0
        )
        generator = np.random.default_rng(1)
        x = generator.normal(size=(64, 56)).astype("float32")
        y = generator.normal(size=(64, 10)).astype("float32")
        model.fit(
            x,
            y,
            batch_size=16,
            initial_epoch=first,
            epochs=epochs,
            shuffle=False,
            verbose=0,
            callbacks=[callback],
        )
        return model

    whole = trained(twins((3, 3, 3))[0], 6)
    half = trained(twins((3, 3, 3))[0], 3)
    half.save(tmp_path / "m.keras")
    resumed = trained(keras.models.load_model(tmp_path / "m.keras"), 6, 3)
    for ours, theirs in zip(resumed.variables, whole.variables):
        np.testing.assert_array_equal(values(ours), values(theirs))


def test_methods_that_look_at_whole_kernels():
    model, _ = twins((4, 4, 4))
    for method in (methods.RigL(), methods.SNFS(), methods.DeepR()):
        with pytest.raises(ValueError, match="stores its active weights only"):
            Reallocator(model, method).check(model.optimizer)


def test_not_a_number():
    model, _ = twins((4, 4, 4))
    weight = masked_weights(model)[1]
    kernel = values(weight.kernel).copy()
    kernel[0, 0, 0] = np.nan
    weight.kernel.assign(ops.convert_to_tensor(kernel))
    if not np.isnan(weight.variable.groups()).any():
        pytest.skip("the first slot is empty")
    with pytest.raises(RuntimeError, match="dense_2/kernel hold numbers"):
        Reallocator(model, methods.SET(0.3)).step(model.optimizer, 1)
