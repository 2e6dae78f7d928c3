"""What is left of a method in a model once training has ended."""

import pickle

import keras
import numpy as np
import pytest

from dsr_tf import layers
from dsr_tf import methods
from dsr_tf.callbacks import GradualPruning
from dsr_tf.callbacks import Reallocation
from tests.callbacks.shared import METHODS
from tests.callbacks.shared import GatheredGradients
from tests.callbacks.shared import fit
from tests.callbacks.shared import masks
from tests.callbacks.shared import momentum
from tests.conftest import assert_same
from tests.conftest import assert_zero_outside_masks
from tests.conftest import make_model
from tests.conftest import needs_tensorflow
from tests.conftest import values

# Where the one leaves something that the other could stumble over.
PAIRS = [
    ("deep_r", "snfs"),
    ("deep_r", "rigl"),
    ("snfs", "deep_r"),
    pytest.param("deep_r", "dsr", marks=pytest.mark.slow),
    pytest.param("rigl", "deep_r", marks=pytest.mark.slow),
    pytest.param("snfs", "set", marks=pytest.mark.slow),
]


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


class Interrupt(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 12:
            raise KeyboardInterrupt


@needs_tensorflow
def test_what_was_broken_off_ends_with_the_next_training(data):
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


@needs_tensorflow
@pytest.mark.parametrize("method", ["deep_r", "rigl", "snfs"])
def test_what_was_broken_off_goes_on_with_another_optimizer(method, data):
    """The hook must leave the optimizer of before."""
    model, records, free = make_model(momentum()), [], []
    callback = Reallocation(
        METHODS[method], 10, seed=0, listener=records.append
    )
    with pytest.raises(KeyboardInterrupt):
        fit(model, data, callback, Interrupt())
    records.clear()
    model.compile(
        momentum(), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )

    fit(model, data, GatheredGradients(free), callback)
    assert all(r.num_grown > 0 for r in records[1:]) and len(records) == 3
    # Gradients of inactive weights, for methods that grow by them.
    assert (free[0] > 0) == (method != "deep_r")
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


class Restore(keras.callbacks.Callback):
    """Goes back to the weights of the first epoch, as it ends."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            self.saved = self.model.get_weights()

    def on_train_end(self, logs=None):
        self.model.set_weights(self.saved)


@needs_tensorflow
def test_zeros_hold_with_restored_masks(data):
    model = make_model(momentum())
    fit(model, data, Reallocation(METHODS["set"], 5, seed=0), Restore())
    fit(model, data, epochs=1)
    assert_zero_outside_masks(model)


def test_restored_weights_do_not_open_a_window(data):
    """The best epoch ended in the step before a reallocation."""
    model = make_model("adam")
    callbacks = [
        Reallocation(METHODS["rigl"], 10, seed=0),
        keras.callbacks.EarlyStopping(
            "loss", mode="max", patience=1, restore_best_weights=True
        ),
    ]
    model.fit(*data, batch_size=16, epochs=4, verbose=0, callbacks=callbacks)
    assert not values(model.layers[0].gradient_window).any()
    model.fit(*data, batch_size=16, epochs=2, verbose=0)
    assert_zero_outside_masks(model)


@needs_tensorflow
def test_restored_weights_do_not_open_a_window_where_training_goes_on(data):
    model, steps = make_model("adam"), []
    reallocation = Reallocation(
        METHODS["rigl"],
        10,
        seed=0,
        model=model,
        listener=lambda record: steps.append(record.step),
    )
    reallocation.begin()
    restoring = keras.callbacks.EarlyStopping(
        "loss", mode="max", patience=1, restore_best_weights=True
    )
    fit(model, data, reallocation, restoring, epochs=4)
    begun = int(values(model.optimizer.iterations))
    assert begun % 10 == 0 and steps
    steps.clear()
    fit(model, data, reallocation, epochs=1)
    # Not at once, by what slots hold of weights that are not there any more.
    assert steps == [begun + 10]
    reallocation.end()


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
