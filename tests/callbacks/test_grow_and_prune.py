"""Growth and pruning by NeST, in real trainings."""

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import growth
from dsr_tf import layers
from dsr_tf import methods
from dsr_tf.callbacks import GrowAndPrune
from dsr_tf.callbacks import Reallocation
from dsr_tf.conversion.batch import Batch
from dsr_tf.growth import bridges
from dsr_tf.growth import connections
from dsr_tf.growth import measuring
from dsr_tf.growth.draft import Draft
from dsr_tf.growth.gradients import dense_gradients
from dsr_tf.structure import Structure
from tests.callbacks.shared import fit
from tests.callbacks.shared import momentum
from tests.conftest import assert_same
from tests.conftest import assert_zero_outside_masks
from tests.conftest import make_model
from tests.conftest import snapshot
from tests.conftest import values

# Growth after updates 5, 10 and 15 of 40, pruning after 20, 25, 30 and 35.
SETTINGS = {"frequency": 5, "grow_steps": 3, "prune_share": 0.1}


# Compiling takes longer than training these, but for JAX.
EAGERLY = keras.backend.backend() == "tensorflow"


def seedling(run_eagerly=EAGERLY, density=0.5):
    """12-20-8-3, of which 8 and 3 units are awake, with half of the weights."""
    keras.utils.set_random_seed(0)
    dense = keras.Sequential(
        [
            keras.Input((12,)),
            keras.layers.Dense(20, "relu", name="a"),
            keras.layers.Dense(8, "tanh", name="b"),
            keras.layers.Dense(3, name="c"),
        ]
    )
    model = dsr_tf.sparsify(dense, 0.0, seed=0)
    growth.plant(model, density, 0.4, seed=0)
    model.compile(
        momentum(),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=run_eagerly,
    )
    return model


def assert_empty_slots(model):
    """Invariant 2: the momentum of inactive weights is 0."""
    for weight, slot in zip(
        layers.masked_weights(model), model.optimizer.momentums[::2]
    ):
        assert slot.shape == weight.kernel.shape
        assert not values(slot)[~values(weight.mask)].any()


class Told(keras.metrics.Metric):
    """Has the results that it was told, one after another."""

    def __init__(self, *results):
        super().__init__(name="told")
        self.told = [*results]

    def update_state(self, y_true, y_pred, sample_weight=None):
        pass

    def result(self):
        return keras.ops.convert_to_tensor(self.told.pop(0))


def test_policy_1_is_the_choice_of_rigl(data):
    """Of the batch of the step before, in which weights hardly moved."""
    model = make_model(keras.optimizers.SGD(1e-6, momentum=0.9))
    weights, records = layers.masked_weights(model), []
    before = [values(w.mask) for w in weights]
    rigl = Reallocation(methods.RigL(0.2, None), 5, listener=records.append)
    x, y = data
    model.fit(
        x[:48], y[:48], batch_size=8, shuffle=False, verbose=0, callbacks=[rigl]
    )
    (record,) = records
    after = [values(w.mask) for w in weights]
    again = make_model()
    gradients = dense_gradients(
        again, layers.masked_weights(again), Batch((x[32:40], y[32:40]), again)
    )
    for weight, old, new, gradient in zip(weights, before, after, gradients):
        grown = new & ~old
        assert grown.sum() == record.grown[weight.path] > 0
        found = connections.largest_gradients(old, gradient, grown.sum(), 0)
        np.testing.assert_array_equal(found, grown)


def test_bridging_is_that_of_numpy(data):
    model = seedling()
    x, y = (part[:50] for part in data)
    hidden = bridges.hidden_sets(Structure(model))
    before = snapshot(model)
    found = growth.bridging(model, hidden, Batch((x, y), model))
    assert_same(snapshot(model), before)
    kernels = [
        values(w.kernel).astype("float64") for w in dsr_tf.masked_weights(model)
    ]
    first = np.maximum(x @ kernels[0], 0)
    second = np.tanh(first @ kernels[1])
    logits = second @ kernels[2]
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    of_logits = (shares - np.eye(3)[y]) / len(y)
    of_second = (of_logits @ kernels[2].T) * (1 - second**2)
    assert [one.units.name for one in hidden] == ["a", "b"]
    for b, expected in zip(found, (-x.T @ of_second, -first.T @ of_logits)):
        assert b.shape == expected.shape and np.abs(expected).max() > 0.01
        np.testing.assert_allclose(b, expected, atol=1e-6)


def test_the_loss_falls_by_new_units(data):
    """For a small alpha, and the more the larger it is."""
    model = seedling()
    weights, batch = dsr_tf.masked_weights(model), Batch(data, model)
    hidden = bridges.hidden_sets(Structure(model))
    found = growth.bridging(model, hidden, batch)
    before, loss = Draft(weights), measuring.loss_on(model, batch)
    for seed in range(3):
        falls = []
        for strength in (0.05, 0.1, 0.2):
            draft = before.copy()
            for one, bridge in zip(hidden, found):
                bridges.wake_units(
                    draft,
                    one,
                    np.array([one.units.num_units - 1]),
                    bridge,
                    0.1,
                    strength,
                    np.random.default_rng(seed),
                )
            draft.write()
            falls.append(loss - measuring.loss_on(model, batch))
        assert 0 < falls[0] < falls[1] < falls[2], (seed, falls)


def test_a_training(data):
    model, records, awake = seedling(run_eagerly=False), [], []
    weights = layers.masked_weights(model)
    start = sum(w.num_active for w in weights)

    def listen(record):
        records.append(record)
        awake.append([values(w.mask).any(axis=0).sum() for w in weights[:2]])

    nest = GrowAndPrune(
        data, **SETTINGS, grow_share=0.1, seed=0, listener=listen
    )
    history = fit(model, data, nest)
    assert [r.step for r in records] == [5, 10, 15, 20, 25, 30, 35]
    for record in records[:3]:
        assert record.num_grown > 0 and record.num_pruned == 0
    for record in records[3:]:
        assert record.num_pruned > 0 and record.num_grown == 0
    active = [start, *(r.num_active for r in records)]
    changes = [r.num_grown - r.num_pruned for r in records]
    assert np.diff(active).tolist() == changes
    # A unit of each hidden layer has come with each growth.
    assert awake[:3] == [[9, 4], [10, 5], [11, 6]]
    assert_zero_outside_masks(model)
    assert_empty_slots(model)
    density = sum(w.num_active for w in weights) / 424
    assert history.history["mask_density"][-1] == density
    # What has gone or has never come takes no place in the end.
    keep = dsr_tf.structure.zero_units(model)
    smaller = dsr_tf.structure.narrow(model, keep)
    assert smaller.count_params() < model.count_params() / 1.5
    np.testing.assert_allclose(
        values(smaller(data[0])), values(model(data[0])), atol=1e-5
    )


def test_pruning_stops_at_the_target_and_restores(data):
    """It holds twice; then it is missed, and two changes fall away."""
    model, records = seedling(), []
    told = Told(0.9, 0.8, 0.7, 0.7, 0.7)
    nest = GrowAndPrune(
        data,
        metric=told,
        frequency=2,
        grow_steps=1,
        prune_share=0.2,
        target=0.8,
        patience=2,
        listener=records.append,
    )
    fit(model, data, nest, epochs=1)
    assert [r.step for r in records] == [2, 4, 6, 12] and not told.told
    grown, first, second, last = records
    assert first.num_pruned and second.num_pruned
    # As many of each kernel as had gone since the target held.
    assert last.grown == second.pruned and last.active == first.active
    assert not last.num_pruned
    assert_zero_outside_masks(model)
    # No more than that, in another training neither.
    fit(model, data, nest, epochs=1)
    assert len(records) == 4


def test_pruning_ends_at_the_budget(data):
    """The last one takes no more than it must; no change comes after it,
    but for a target that it has missed."""

    def changes(*results):
        model, records = seedling(density=1.0), []
        nest = GrowAndPrune(
            data,
            metric=Told(*results),
            frequency=4,
            grow_steps=0,
            prune_share=0.1,
            target=0.8,
            patience=0,
            budget=110,
            listener=records.append,
        )
        fit(model, data, nest, epochs=1)
        assert not nest.metric.told
        return [(r.step, [*r.active.values()]) for r in records]

    # A tenth of 96, 24 and 9; then 6 in proportion to 86, 22 and 8.
    pruned = [(4, [86, 22, 8]), (8, [81, 21, 8])]
    assert changes(0.9, 0.9, 0.9) == pruned
    assert changes(0.9, 0.9, 0.1) == [*pruned, (12, [86, 22, 8])]


def test_it_waits_for_the_target_and_ends(data):
    """Pruning begins where the target is first reached; at the end it is
    looked at once more."""

    def steps(*results, end):
        model, records = seedling(), []
        nest = GrowAndPrune(
            data,
            metric=Told(*results),
            frequency=4,
            grow_steps=0,
            prune_share=0.2,
            target=0.8,
            patience=1,
            end=end,
            listener=records.append,
        )
        fit(model, data, nest, epochs=1)
        assert not nest.metric.told
        return [(r.step, r.num_grown > 0) for r in records]

    assert steps(0, 0, 0, 0.9, end=30) == [(16, False)]
    assert steps(0.9, 0.9, end=8) == [(4, False)]
    assert steps(0.9, 0.1, end=8) == [(4, False), (8, True)]
    assert steps(0.9, 0.1, 0.9, 0.9, end=16) == [(4, False), (12, False)]


def test_goes_on_after_loading(data, tmp_path):
    """After growth and a pruning, which is made up for then."""

    def nest(*results, listener=None):
        return GrowAndPrune(
            data,
            metric=Told(*results),
            frequency=5,
            grow_steps=2,
            prune_share=0.2,
            target=0.8,
            patience=1,
            initial_value="gradient",
            seed=3,
            listener=listener,
        )

    whole, path, records = seedling(), tmp_path / "model.keras", []
    saving = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: epoch == 0 and whole.save(path)
    )
    fit(whole, data, nest(0.9, 0.1, 0.1, listener=records.append), saving)
    assert [(r.step, r.num_pruned > 0) for r in records] == [
        *((5, False), (10, False), (15, True), (25, False)),
    ]
    assert records[3].active == records[1].active
    loaded = keras.models.load_model(path)
    fit(loaded, data, nest(0.1, 0.1), initial_epoch=1)
    assert_same(snapshot(whole), snapshot(loaded))


def test_frozen_weights_never_change(data):
    model, records = seedling(), []
    model.get_layer("b").trainable = False
    model.compile(momentum(), model.loss, run_eagerly=EAGERLY)
    before = values(model.get_layer("b").mask)
    nest = GrowAndPrune(data, **SETTINGS, listener=records.append)
    fit(model, data, nest)
    np.testing.assert_array_equal(values(model.get_layer("b").mask), before)
    assert list(records[-1].active) == ["a/kernel", "c/kernel"]
    assert records[0].num_grown and records[-1].num_pruned


def test_mixed_precision(data):
    keras.config.set_dtype_policy("mixed_float16")
    model, records = seedling(), []
    nest = GrowAndPrune(data, **SETTINGS, listener=records.append)
    fit(model, data, nest)
    assert records[0].num_grown and records[-1].num_pruned
    assert_zero_outside_masks(model)
    from_gradients = GrowAndPrune(data, initial_value="gradient")
    with pytest.raises(ValueError, match="`initial_value` must be 'zero'"):
        from_gradients.check(model)
    keras.config.set_dtype_policy("mixed_bfloat16")
    from_gradients.check(seedling())
