"""What callbacks say, and what those of others find in the logs."""

import types

import keras
import numpy as np
import pytest

from dsr_tf import layers
from dsr_tf import methods
from dsr_tf.callbacks import GradualPruning
from dsr_tf.callbacks import Reallocation
from tests.callbacks.shared import METHODS
from tests.callbacks.shared import fit
from tests.callbacks.shared import momentum
from tests.callbacks.shared import warnings_of
from tests.conftest import assert_same
from tests.conftest import assert_zero_outside_masks
from tests.conftest import make_model
from tests.conftest import needs_tensorflow


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


def test_another_callback_that_moves_the_weights_is_refused(data):
    """It would take off the hook that the first one needs."""
    model = make_model(momentum())
    first = Reallocation(methods.RigL(0.3), period=10, seed=0)
    second = Reallocation(methods.DSR(20), period=10, seed=0)
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"DSR\(.*and so is .*RigL\("):
        fit(model, data, first, second)
    assert_same(before, model.get_weights())
    # Neither of them holds the model for longer.
    fit(model, data, second)
    fit(model, data, first)
    # One that goes on over several calls of `fit` is there all the same.
    third = Reallocation(methods.SET(0.3), period=10, seed=0, model=model)
    third.begin()
    with pytest.raises(ValueError, match="one of them at a time"):
        fit(model, data, third, second)
    third.end()


@pytest.mark.parametrize("pruning_first", [True, False])
def test_pruning_what_moves_is_refused(pruning_first, data):
    model = make_model(momentum())
    pruning = GradualPruning(target_sparsity=0.9)
    both = [Reallocation(methods.SET(0.3), period=10, seed=0), pruning]
    before = model.get_weights()
    with pytest.raises(ValueError, match="GradualPruning.*one of them at a"):
        fit(model, data, *(both[::-1] if pruning_first else both))
    assert_same(before, model.get_weights())
    # What moves nothing is not in the way.
    static = Reallocation(methods.Static(), seed=0)
    fit(model, data, static, pruning)


@pytest.mark.parametrize(
    "period, steps_per_execution, scaled, expected, warns",
    [
        # Two batches are an update, and an execution.
        (3, 2, False, [3, 6, 9], False),
        (3, 2, True, [3, 6, 9], False),
        # Executions end at 1, 3, 4, 6, 7 and 9 updates.
        (2, 3, False, [3, 4, 6, 9], True),
    ],
)
def test_gathered_gradients_and_executions(
    period, steps_per_execution, scaled, expected, warns, data, caplog
):
    steps = []
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model = make_model(optimizer, steps_per_execution=steps_per_execution)
    reallocation = Reallocation(
        methods.SET(0.3),
        period,
        seed=0,
        listener=lambda record: steps.append(record.step),
    )
    with caplog.at_level("WARNING", logger="absl"):
        fit(model, data, reallocation, epochs=1)
    assert steps == expected
    told = [r for r in caplog.records if "not divisible" in r.message]
    assert bool(told) == warns


@needs_tensorflow
def test_a_training_step_of_an_instance_of_ones_own(data):
    """Two updates each, so that a period may be over in the middle."""
    model, steps = make_model(momentum()), []

    def train_step(self, given):
        keras.Model.train_step(self, given)
        return keras.Model.train_step(self, given)

    model.train_step = types.MethodType(train_step, model)
    reallocation = Reallocation(
        methods.SET(0.3), 4, seed=0, listener=lambda r: steps.append(r.step)
    )
    fit(model, data, reallocation, epochs=1)
    assert steps == list(range(4, 40, 4))


def test_the_end_lets_others_change_the_masks(data):
    model = make_model(momentum())
    first = Reallocation(methods.SET(0.3), 10, seed=0, model=model)
    second = GradualPruning(target_sparsity=0.9, model=model)
    keras.callbacks.CallbackList([first, second], model=model, epochs=1)
    for one in (first, second, first):
        one.begin()
        one.end()


def test_another_callback_that_moved_the_weights_is_told(data, caplog):
    """Where training is a loop of one's own."""
    model = make_model(momentum())
    both = [
        Reallocation(method, period=10, seed=0, model=model)
        for method in (methods.SET(0.3), methods.DSR(20))
    ]
    with caplog.at_level("WARNING", logger="absl"):
        for one in both:
            one.begin()
        for x, y in zip(*(np.split(part, 20) for part in data)):
            for one in both:
                one.before_step()
            model.train_on_batch(x, y)
        for one in both:
            one.end()
    told = [r.message for r in caplog.records if "changed no mask" in r.message]
    assert len(told) == 1
    assert "another callback has reallocated the same weights" in told[0]


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
            "and none was due before by period=0:5",
        ),
        (
            lambda: Reallocation(methods.DSR(5, initial_threshold=1e-30), 5),
            "found no weight to move by DSR",
        ),
        (
            lambda: GradualPruning(target_sparsity=0.9, begin_pruning_step=500),
            "due from update 500 on",
        ),
        (
            lambda: GradualPruning(target_sparsity=0.9, begin_pruning_step=20),
            "ended at update 20 before any pruning: they are due from update "
            "20 on, every 10 updates, each before the batch that follows",
        ),
        (
            lambda: GradualPruning(
                target_sparsity=0.1,
                pruning_frequency=5,
                sparsity_function_end_step=10,
            ),
            "its prunings up to update 20 found nothing to prune from 240 "
            "active weights: the sparsity of its schedule is 0.1 there",
        ),
    ],
    ids=[
        *("period", "stop_epoch", "end_step", "threshold"),
        *("pruning", "pruning_next", "pruning_denser"),
    ],
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
def test_reallocations_that_moved_nothing_in_an_earlier_epoch(data, caplog):
    callback = Reallocation(
        methods.DSR(5, initial_threshold=1e-30), {0: 5, 1: 1000}
    )
    with caplog.at_level("WARNING", logger="absl"):
        fit(make_model(), data, callback)
    (message,) = warnings_of(caplog)
    assert "found no weight to move by DSR" in message


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
