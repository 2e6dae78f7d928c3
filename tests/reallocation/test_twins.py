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

import dsr_tf
from dsr_tf import methods
from dsr_tf.core.optimizer_slots import slots
from dsr_tf.layers import SparseDense
from dsr_tf.layers import masked_weights
from dsr_tf.reallocation.reallocator import Reallocator
from tests.conftest import needs_tensorflow
from tests.conftest import values

METHODS = {
    "dsr": lambda: methods.DSR(0.3, initial_threshold=0.02),
    "set": lambda: methods.SET(0.3),
    "static": methods.Static,
}
GRANULARITIES = {"blocks": "block:16", "lists": "element"}
# Slots of a block of outputs, and of a kernel, that are soon all in use.
TIGHT = {"blocks": (2, 2, 2), "lists": (1100, 930, 160)}
WIDE = {"blocks": (4, 4, 3), "lists": (3584, 3072, 480)}
STORAGES = [
    "blocks",
    pytest.param("lists", marks=needs_tensorflow),
]


def a_model(storage, num_slots, sparsity=0.7):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((56,))
    x, seed = inputs, 0
    for units, n in zip((64, 48, 10), num_slots):
        seed += 1
        x = SparseDense(
            units,
            sparsity,
            GRANULARITIES[storage],
            seed,
            storage=storage,
            num_slots=n,
            name=f"dense_{seed}",
        )(x)
    return keras.Model(inputs, x)


def trained(model, optimizer="adam", **arguments):
    """The model after a step, so that its optimizer has used slots."""
    compiled(model, optimizer, **arguments)
    model.train_on_batch(np.ones((4, 56)), np.zeros((4, 10)))
    return model


def compiled(model, optimizer="adam", **arguments):
    """The model with an optimizer of its own, whose slots are fresh."""
    own = keras.optimizers.get(optimizer)
    loss = keras.losses.MeanSquaredError()
    model.compile(own.from_config(own.get_config()), loss, **arguments)
    model.optimizer.build(model.trainable_variables)
    return model


def twins(storage, num_slots, optimizer="adam", sparsity=0.7):
    """A model that stores active groups, and its masked twin."""
    stored = a_model(storage, num_slots, sparsity)
    masked = dsr_tf.with_storage(stored, "masked")
    return [compiled(m, optimizer) for m in (stored, masked)]


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
                        variable._filled(weight.grouping, places, groups)
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
    ("method", "num_slots", "number"),
    [
        ("dsr", TIGHT, 15),
        ("set", TIGHT, 15),
        ("dsr", WIDE, 10),
        ("static", TIGHT, 5),
        pytest.param("dsr", TIGHT, 200, marks=pytest.mark.slow),
        pytest.param("set", TIGHT, 200, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("storage", STORAGES)
def test_reallocations(storage, method, num_slots, number):
    if keras.backend.backend() == "jax":
        number = min(number, 5)  # It compiles for each number of places.
    momentum = keras.optimizers.SGD(0.1, momentum=0.9)
    optimizer = "adam" if num_slots is WIDE else momentum
    models = twins(storage, num_slots[storage], optimizer)
    reallocators = [Reallocator(m, METHODS[method]()) for m in models]
    budget = sum(weight.num_active for weight in masked_weights(models[0]))
    generator = np.random.default_rng(0)
    num_moved, num_full = 0, 0
    for step in range(number):
        renew(models, generator)
        ours, theirs = (
            r.step(m.optimizer, step) for r, m in zip(reallocators, models)
        )
        assert ours == theirs
        assert ours.num_active + ours.carry == budget
        num_moved += ours.num_grown
        num_full += sum(map(is_full, masked_weights(models[0])))
        assert_alike(models)
    assert (num_moved > 0) == (method != "static")
    # Places have been equal, and the budget exact, at the limit as well.
    assert method != "dsr" or (num_full > 0) == (num_slots is TIGHT)


def is_full(weight):
    room, num_groups = weight.grouping.room, weight.grouping.num_groups
    if room.num_slots == num_groups // room.num_bins:
        return False
    return (room.counts(weight.variable.places()) == room.num_slots).any()


# JAX compiles for each number of places.
few = settings(max_examples=6 if keras.backend.backend() == "tensorflow" else 2)


@few
@given(
    st.sampled_from(["dsr", "set"]),
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3)),
    st.floats(0.5, 0.9),
    st.integers(0, 99),
)
def test_the_budget_is_exact_where_slots_are_few(
    method, num_slots, sparsity, seed
):
    try:
        stored, _ = models = twins("blocks", num_slots, "sgd", sparsity)
    except ValueError as error:
        assert "`num_slots` must be at least" in str(error)
        return
    reallocator = Reallocator(stored, METHODS[method]())
    budget = sum(weight.num_active for weight in masked_weights(stored))
    generator = np.random.default_rng(seed)
    for step in range(3):
        renew(models, generator)
        record = reallocator.step(stored.optimizer, step)
        assert record.num_active + record.carry == budget
        for weight in masked_weights(stored):
            weight.grouping.check_places(weight.variable.places())


@pytest.mark.parametrize("storage", STORAGES)
def test_slots_of_what_moves_start_afresh(storage):
    adagrad = keras.optimizers.Adagrad(0.1, 0.3)
    model = trained(a_model(storage, WIDE[storage]), adagrad, run_eagerly=True)
    weight = masked_weights(model)[0]
    before = weight.variable.places()
    ((slot, fresh),) = slots(model.optimizer, weight.kernel)
    free = np.setdiff1d(np.arange(weight.grouping.num_groups), before)
    grown = free[:1]
    places = np.sort(np.append(before[1:], grown))
    kept = weight.variable.groups()[1:]
    weight.variable.move(places, [(slot, fresh)])
    is_new = np.isin(places, grown)
    assert not weight.variable.groups()[is_new].any()
    np.testing.assert_array_equal(weight.variable.groups()[~is_new], kept)
    assert (weight.variable.groups_of(slot)[is_new] == np.float32(0.3)).all()
    # Empty slots are as if never used, too.
    used = weight.variable.slots_of(weight.grouping, places)
    array = values(slot).reshape(-1, weight.group_size)
    empty = np.delete(array, used, axis=0)
    assert len(empty) and (empty == np.float32(0.3)).all()


def saved_after(last, model, path):
    """A callback that saves a model after an epoch, if there is a path."""

    def save(epoch, logs):
        if epoch == last:
            model.save(path)

    if path is not None:
        yield keras.callbacks.LambdaCallback(on_epoch_end=save)


@pytest.mark.parametrize("storage", STORAGES)
def test_in_fit_and_resumed(storage, tmp_path):
    """`fit` goes on from a file as if it had never stopped."""

    def fitted(model, epochs, first=0, saved=None):
        callback = dsr_tf.callbacks.DynamicSparseReparameterization(
            num_reallocated=0.3, initial_threshold=0.05, period=3, seed=0
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
            callbacks=[callback, *saved_after(2, model, saved)],
        )
        return model

    path = tmp_path / "m.keras"
    whole = fitted(compiled(a_model(storage, WIDE[storage])), 6, saved=path)
    resumed = fitted(keras.models.load_model(path), 6, 3)
    for ours, theirs in zip(resumed.variables, whole.variables):
        np.testing.assert_array_equal(values(ours), values(theirs))


@needs_tensorflow
def test_methods_that_look_at_whole_kernels():
    model = trained(a_model("blocks", WIDE["blocks"]), run_eagerly=True)
    for method, why in (
        (methods.SNFS(), "needs the momentum of inactive weights"),
        (methods.DeepR(), "looks at whole kernels"),
    ):
        message = f"{why}.*dense_1/kernel stores its active weights only"
        with pytest.raises(ValueError, match=message):
            Reallocator(model, method).check(model.optimizer)


@pytest.mark.parametrize("storage", STORAGES)
def test_not_a_number(storage):
    model = trained(a_model(storage, WIDE[storage]), run_eagerly=True)
    variable = masked_weights(model)[1].variable
    groups = variable.groups().copy()
    groups[0, 0] = np.nan
    variable.assign(variable.places(), groups)
    with pytest.raises(RuntimeError, match="dense_2/kernel hold numbers"):
        Reallocator(model, methods.SET(0.3)).step(model.optimizer, 1)
