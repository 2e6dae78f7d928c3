"""What is left of a method once training has ended, and what is said then."""

import pickle

import keras
import numpy as np
import pytest

from dsr_tf import layers
from dsr_tf import methods
from dsr_tf.callbacks import GradualPruning
from dsr_tf.callbacks import Reallocation
from tests.conftest import assert_same
from tests.conftest import assert_zero_outside_masks
from tests.conftest import make_model
from tests.conftest import needs_tensorflow
from tests.conftest import values

METHODS = {
    "dsr": methods.DSR(15, initial_threshold=0.05),
    "set": methods.SET(0.2),
    "rigl": methods.RigL(0.2),
    "snfs": methods.SNFS(0.2),
    "deep_r": methods.DeepR(1e-3),
}
# Where the one leaves something that the other could stumble over.
PAIRS = [
    ("deep_r", "snfs"),
    ("deep_r", "rigl"),
    ("snfs", "deep_r"),
    pytest.param("deep_r", "dsr", marks=pytest.mark.slow),
    pytest.param("rigl", "deep_r", marks=pytest.mark.slow),
    pytest.param("snfs", "set", marks=pytest.mark.slow),
]


def momentum():
    return keras.optimizers.SGD(0.1, momentum=0.9)


def fit(model, data, *callbacks, epochs=2, **arguments):
    """Batches of 8: 20 steps an epoch."""
    return model.fit(
        *data,
        batch_size=8,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[*callbacks],
        **arguments,
    )


def masks(model):
    return [values(w.mask) for w in layers.masked_weights(model)]


class MasksByStep(keras.callbacks.Callback):
    """The steps before which the masks were found changed; put it first."""

    def on_train_begin(self, logs=None):
        self.last, self.steps = masks(self.model), []

    def on_train_batch_end(self, batch, logs=None):
        now = masks(self.model)
        if any((a != b).any() for a, b in zip(now, self.last)):
            self.steps.append(batch)
        self.last = now


@needs_tensorflow
@pytest.mark.parametrize("first, second", PAIRS)
def test_a_method_after_another_moves_weights_when_it_says(first, second, data):
    model, records, watch = make_model(momentum()), [], MasksByStep()
    fit(model, data, Reallocation(METHODS[first], 10, seed=0))
    callback = Reallocation(
        METHODS[second], 10, seed=0, listener=records.append
    )
    fit(model, data, watch, callback, epochs=1)
    assert {r.num_active for r in records} == {90}
    assert sum(r.num_grown for r in records) > 0
    if second != "deep_r":
        # Before the first batch, since the first training ended at a
        # multiple of the period, and before the eleventh.
        assert set(watch.steps) <= {0, 10}
    assert_zero_outside_masks(model)


@needs_tensorflow
def test_what_was_broken_off_ends_with_the_next_training(data):
    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 12:
                raise KeyboardInterrupt

    model, watch = make_model(momentum()), MasksByStep()
    deep_r = Reallocation(METHODS["deep_r"], 10, seed=0)
    with pytest.raises(KeyboardInterrupt):
        fit(model, data, deep_r, Interrupt())
    static = Reallocation(methods.Static(), 10)
    fit(model, data, watch, static)
    assert watch.steps == []
    with pytest.raises(KeyboardInterrupt):
        fit(model, data, deep_r, Interrupt())
    deep_r.end()
    fit(model, data, watch)
    assert watch.steps == []
    assert_zero_outside_masks(model)


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(name, marks=needs_tensorflow if name == "deep_r" else ())
        for name in METHODS
    ],
)
@pytest.mark.parametrize(
    "optimizer", ["momentum", pytest.param("adam", marks=pytest.mark.slow)]
)
def test_zeros_hold_in_plain_training_afterwards(method, optimizer, data):
    """The slots of inactive weights must have lost what they gathered."""
    model = make_model(
        momentum() if optimizer == "momentum" else keras.optimizers.Adam(0.01)
    )
    fit(model, data, Reallocation(METHODS[method], 10, seed=0))
    fit(model, data, epochs=1)
    assert_zero_outside_masks(model)


@needs_tensorflow
def test_after_a_method_a_model_trains_as_one_that_never_met_it(data):
    for name in ("rigl", "snfs", "deep_r"):
        method = METHODS[name]
        met, twin = make_model(momentum()), make_model(momentum())
        fit(met, data, Reallocation(method, 10, seed=0))
        twin.optimizer.build(twin.trainable_variables)
        for ours, theirs in zip(
            [*twin.variables, *twin.optimizer.variables],
            [*met.variables, *met.optimizer.variables],
        ):
            ours.assign(values(theirs))
        fit(met, data, epochs=1)
        fit(twin, data, epochs=1)
        assert_same(
            [values(w.kernel) for w in layers.masked_weights(met)],
            [values(w.kernel) for w in layers.masked_weights(twin)],
        )


@needs_tensorflow
def test_deep_r_after_a_decaying_threshold_counts_its_own_moves(data):
    model, records = make_model(momentum(), sparsity=0.0), []
    fit(
        model,
        data,
        GradualPruning(
            target_sparsity=0.7,
            threshold_decay=0.5,
            pruning_frequency=5,
            sparsity_function_end_step=20,
        ),
    )
    fit(
        model,
        data,
        Reallocation(METHODS["deep_r"], 10, seed=0, listener=records.append),
    )
    # At most every weight in every step.
    assert 0 < sum(r.num_pruned for r in records) < 300 * 40


def best_first():
    """Keras' callback that finds the first epoch to be the best."""
    return keras.callbacks.EarlyStopping(
        "mask_density",
        mode="max",
        patience=1,
        restore_best_weights=True,
    )


@pytest.mark.parametrize("is_first", [True, False])
def test_pruning_that_is_undone_is_told(data, caplog, is_first):
    model = make_model(momentum(), sparsity=0.0)
    pruning = GradualPruning(
        target_sparsity=0.8,
        pruning_frequency=10,
        sparsity_function_end_step=60,
    )
    callbacks = [pruning, best_first()]
    with caplog.at_level("WARNING", logger="absl"):
        # In the order in which the density is there, and a checkpoint of the
        # user's own that restores before.
        if not is_first:
            restore = keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: saved.append(
                    model.get_weights()
                ),
                on_train_end=lambda logs: model.set_weights(saved[0]),
            )
            saved, callbacks = [], [restore, pruning]
        fit(model, data, *callbacks, epochs=4)
    told = [r.message for r in caplog.records if "denser state" in r.message]
    assert len(told) == 1
    now = sum(w.num_active for w in layers.masked_weights(model))
    assert f"({now} active weights, where pruning had reached" in told[0]


def test_zeros_hold_where_earlier_masks_were_restored(data):
    model = make_model(momentum())
    stop = keras.callbacks.EarlyStopping(
        "loss", mode="max", patience=1, restore_best_weights=True
    )
    before = masks(model)
    reallocation = Reallocation(methods.SET(0.4), 5, seed=0)
    fit(model, data, reallocation, stop, epochs=5)
    assert not np.array_equal(before[0], masks(model)[0])
    fit(model, data, epochs=1)
    assert_zero_outside_masks(model)


def warnings_of(caplog):
    return [r.message for r in caplog.records if "changed no mask" in r.message]


@needs_tensorflow
@pytest.mark.parametrize(
    "callback, reason",
    [
        (lambda: Reallocation(methods.SET(), 100), "due by period=0:100"),
        (
            lambda: Reallocation(methods.SET(), 5, stop_epoch=0),
            "over after update 20",
        ),
        (
            lambda: Reallocation(methods.RigL(0.3, end_step=3), 5),
            "over after update 20",
        ),
        (
            lambda: Reallocation(methods.DSR(5, initial_threshold=1e-30), 5),
            "found no weight to move by DSR",
        ),
        (
            lambda: GradualPruning(target_sparsity=0.9, begin_pruning_step=500),
            "due from update 500 on",
        ),
    ],
    ids=["period", "stop_epoch", "end_step", "threshold", "pruning"],
)
def test_a_callback_that_changed_nothing_says_why(
    callback, reason, data, caplog
):
    model = make_model(momentum(), sparsity=0.2)
    with caplog.at_level("WARNING", logger="absl"):
        fit(model, data, callback(), epochs=1)
    (message,) = warnings_of(caplog)
    assert reason in message


@needs_tensorflow
def test_static_masks_need_no_excuse(data, caplog):
    with caplog.at_level("WARNING", logger="absl"):
        fit(make_model(), data, Reallocation(methods.Static(), 5), epochs=1)
    assert warnings_of(caplog) == []


@needs_tensorflow
def test_an_optimizer_that_never_updates_is_told(data, caplog):
    """`compile` gives a model an optimizer that its own step may not use."""

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.part, self.own = make_model(), momentum()

        def train_step(self, batch):
            import tensorflow as tf

            with tf.GradientTape() as tape:
                loss = keras.ops.mean(self.part(batch[0]) ** 2)
            weights = self.part.trainable_variables
            self.own.apply(tape.gradient(loss, weights), weights)
            return {"loss": loss}

    model = Own()
    model.compile()
    with caplog.at_level("WARNING", logger="absl"):
        fit(model, data, Reallocation(methods.SET(), 5))
    (message,) = warnings_of(caplog)
    assert "made no update; give `optimizer=`" in message


@pytest.mark.parametrize("name", ["rigl", "snfs"])
def test_slots_that_are_not_finite_end_training_in_a_sentence(name, data):
    class Poison(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 9:
                slot = self.model.optimizer.momentums[0]
                slot.assign(np.full(slot.shape, np.nan))

    model = make_model(momentum())
    reallocation = Reallocation(METHODS[name], 10, seed=0)
    with pytest.raises(RuntimeError, match="of a/kernel hold .* not finite"):
        fit(model, data, reallocation, Poison())


@needs_tensorflow
def test_adafactor_is_refused_unless_its_products_do_not_vanish(data):
    model = make_model(keras.optimizers.Adafactor(0.01))
    with pytest.raises(ValueError, match="Adafactor divides 0 by 0.*epsilon_1"):
        fit(model, data, Reallocation(methods.SET(), 5))
    model = make_model(keras.optimizers.Adafactor(0.01, epsilon_1=1e-12))
    losses = fit(model, data, Reallocation(methods.SET(), 5)).history["loss"]
    assert np.isfinite(losses).all()
    assert_zero_outside_masks(model)


@needs_tensorflow
def test_callbacks_after_ours_find_what_it_adds(data, tmp_path):
    model, path = make_model(), tmp_path / "log.csv"
    fit(
        model,
        data,
        Reallocation(METHODS["dsr"], 10, seed=0),
        keras.callbacks.CSVLogger(path),
    )
    header, first, _ = path.read_text().splitlines()
    found = dict(zip(header.split(","), first.split(",")))
    assert float(found["mask_density"]) == 0.3
    assert {"num_reallocated", "threshold"} <= set(found)


class Restore(keras.callbacks.Callback):
    """Goes back to the weights of the first epoch, as it ends."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            self.saved = self.model.get_weights()

    def on_train_end(self, logs=None):
        self.model.set_weights(self.saved)


@needs_tensorflow
def test_zeros_hold_with_two_callbacks_and_restored_masks(data):
    model = make_model(momentum())
    pruning = GradualPruning(target_sparsity=0.9, begin_pruning_step=1000)
    reallocation = Reallocation(METHODS["set"], 5, seed=0)
    fit(model, data, reallocation, pruning, Restore(), epochs=4)
    fit(model, data, epochs=1)
    assert_zero_outside_masks(model)


@needs_tensorflow
def test_the_history_can_be_pickled(data):
    history = fit(make_model(), data, Reallocation(METHODS["set"], 5))
    again = pickle.loads(pickle.dumps(history))
    assert again.history == history.history


@needs_tensorflow
@pytest.mark.parametrize("method", ["snfs", "deep_r"])
def test_pruning_after_what_was_broken_off(method, data, tmp_path):
    """In this process, and after saving and loading."""
    model = make_model(momentum())

    def interrupt(epoch, logs):
        model.save(tmp_path / "model.keras")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(
            model,
            data,
            Reallocation(METHODS[method], 10, seed=0),
            keras.callbacks.LambdaCallback(on_epoch_end=interrupt),
        )
    for found in (model, keras.models.load_model(tmp_path / "model.keras")):
        pruning = GradualPruning(
            target_sparsity=0.8,
            pruning_frequency=5,
            sparsity_function_end_step=10,
        )
        fit(found, data, pruning)
        before = masks(found)
        fit(found, data, epochs=1)
        assert_same(before, masks(found))
        assert_zero_outside_masks(found)


@needs_tensorflow
def test_deep_r_keeps_weights_that_are_loaded_as_training_begins(data):
    model, other = make_model(momentum()), make_model(momentum())
    fit(other, data, epochs=2)
    # The same masks, and signs that are all the other way round.
    for weight in layers.masked_weights(other):
        weight.kernel.assign(-values(weight.kernel))
    loaded = other.get_weights()

    def total():
        return sum(
            np.abs(values(w.kernel)).sum() for w in layers.masked_weights(model)
        )

    load = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: model.set_weights(loaded)
    )
    deep_r = Reallocation(methods.DeepR(1e-9), 10, seed=0)
    x, y = data
    model.fit(x[:8], y[:8], batch_size=8, verbose=0, callbacks=[deep_r, load])
    assert total() > 5
    held = Reallocation(methods.DeepR(1e-9), 10, seed=0, model=model)
    held.begin()
    model.set_weights(
        [-w if w.dtype == "float32" else w for w in model.get_weights()]
    )
    held.before_step()
    model.fit(x[:8], y[:8], batch_size=8, verbose=0, callbacks=[held])
    held.end()
    assert total() > 5


@needs_tensorflow
def test_freezing_and_compiling_anew_between_fits_of_one_training(data):
    model, records = make_model(momentum()), []
    callback = Reallocation(
        METHODS["rigl"], 10, seed=0, model=model, listener=records.append
    )
    callback.begin()
    fit(model, data, callback, epochs=1)
    model.get_layer("a").trainable = False
    model.compile(
        momentum(), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    frozen = values(model.get_layer("a").mask)
    grown_by = []
    callback.listener = lambda record: (
        records.append(record),
        grown_by.append(record.grown),
    )
    fit(model, data, callback, epochs=2)
    callback.end()
    assert_same([frozen], [values(model.get_layer("a").mask)])
    assert len(grown_by) == 3
    assert all(set(grown) == {"b/kernel"} for grown in grown_by)
    assert sum(g["b/kernel"] for g in grown_by) > 0
    fit(model, data, epochs=1)
    assert_zero_outside_masks(model)


@needs_tensorflow
def test_rigl_sees_gradients_of_a_new_optimizer(data):
    """In the same training: the gate must ask the one that counts now."""
    model, free = make_model(momentum()), []
    callback = Reallocation(METHODS["rigl"], 10, seed=0, model=model)
    callback.begin()
    fit(model, data, callback, epochs=1)
    model.compile(
        momentum(), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )

    class Look(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 10:
                weight = layers.masked_weights(model)[0]
                slot = values(model.optimizer.momentums[0])
                free.append(np.abs(slot[~values(weight.mask)]).sum())

    fit(model, data, Look(), callback, epochs=1)
    callback.end()
    assert free[0] > 0


@needs_tensorflow
def test_reallocations_that_moved_nothing_in_an_earlier_epoch(data, caplog):
    callback = Reallocation(
        methods.DSR(5, initial_threshold=1e-30), {0: 5, 1: 1000}
    )
    with caplog.at_level("WARNING", logger="absl"):
        fit(make_model(), data, callback)
    (message,) = warnings_of(caplog)
    assert "found no weight to move by DSR" in message
