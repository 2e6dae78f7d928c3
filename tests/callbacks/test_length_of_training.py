"""Methods that say what they do by the length of the training."""

import logging as python_logging

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import layers
from dsr_tf import methods
from dsr_tf.callbacks import Reallocation

STEPS = 8


def a_model(**compiled):
    model = keras.Sequential(
        [keras.Input((20,)), layers.SparseDense(30, 0.8, seed=1)]
    )
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse", **compiled)
    return model


def moved(model, method, epochs, initial_epoch=0, others=()):
    """Fit; steps of the reallocations, and how many weights moved."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(4 * STEPS, 20)).astype("float32")
    y = generator.normal(size=(4 * STEPS, 30)).astype("float32")
    records = []
    callback = Reallocation(method, 2, seed=3, listener=records.append)
    model.fit(
        x,
        y,
        batch_size=4,
        shuffle=False,
        epochs=epochs,
        initial_epoch=initial_epoch,
        verbose=0,
        callbacks=[callback, *others],
    )
    return [(record.step, record.num_grown) for record in records]


def by_hand(method, first, end, last):
    """What moves of 120 weights, if it falls from `first` to `end`."""
    steps = range(first + 2, min(end, last), 2)
    angles = [np.pi * (step - first) / (end - first) for step in steps]
    counts = [round(60 * method.fraction * (1 + np.cos(a))) for a in angles]
    return list(zip(steps, counts))


@pytest.mark.parametrize(
    ("method", "end"),
    [
        (methods.RigL(0.4), 24),
        (methods.Adaptive(), 24),
        (methods.SNFS(), 32),
    ],
)
def test_the_share_falls_to_nothing(method, end):
    assert moved(a_model(), method, 4) == by_hand(method, 0, end, 32)


def test_none_and_a_number_are_as_given():
    records = moved(a_model(), methods.RigL(0.4, None), 2)
    assert [count for _, count in records] == [48] * 7
    method = methods.RigL(0.4, 12)
    assert moved(a_model(), method, 4) == by_hand(method, 0, 12, 32)


def test_an_end_may_be_a_number_of_numpy():
    for method in (methods.RigL(0.4, 12), methods.RigL(0.4, np.int64(12))):
        assert not method.is_over(11) and method.is_over(12)
        assert method.fraction_at(6) == pytest.approx(0.2)


def test_a_training_that_ends_before_the_share_begins_to_fall():
    with pytest.raises(ValueError, match="which is 24 in this training"):
        methods.Adaptive(start_step=24).for_training(0, 32)
    assert methods.Adaptive(start_step=23).for_training(0, 32).end_step == 24


def test_a_training_in_parts_is_that_of_one():
    # RigL waits for a gradient where a training begins.
    model, method = a_model(), methods.Adaptive(0.4, growth="random")
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, _: setattr(
            model, "stop_training", epoch == 1
        )
    )
    parts = moved(model, method, 4, others=[stop]) + moved(model, method, 4, 2)
    assert parts == moved(a_model(), method, 4)


def test_another_training_begins_anew():
    model, method = a_model(), methods.RigL(0.4)
    moved(model, method, 2)
    # Of updates 16 to 32; the first may be due at once.
    records = [r for r in moved(model, method, 2) if r[0] > 16]
    assert records == by_hand(method, 16, 28, 32)


def test_a_new_optimizer_counts_from_0():
    """Epochs that are still to come are those of the training then."""
    model, method = a_model(), methods.Adaptive(0.4, growth="random")
    assert moved(model, method, 4, 2) == by_hand(method, 0, 12, 16)


def test_the_share_may_begin_to_fall_later():
    method = methods.Adaptive(0.4, start_step=8, growth="random")
    before = [(step, 48) for step in range(2, 10, 2)]
    assert moved(a_model(), method, 4) == before + by_hand(method, 8, 24, 32)


def test_nobody_knows_how_long(caplog):
    def batches():
        while True:
            yield np.ones((4, 20), "float32"), np.ones((4, 30), "float32")

    model, records = a_model(), []
    callback = Reallocation(
        methods.Adaptive(0.4),
        2,
        seed=0,
        model=model,
        listener=records.append,
    )
    with caplog.at_level(python_logging.WARNING, "absl"):
        callback.begin()
        source = batches()
        for _ in range(9):
            callback.before_step()
            model.train_on_batch(*next(source))
        callback.end()
    assert [record.num_grown for record in records] == [48] * 4
    assert "nothing says how long the training is" in caplog.text
    assert caplog.text.count("how long") == 1


def test_without_arguments():
    callback = Reallocation()
    assert callback.method == methods.Adaptive()
    assert repr(callback.period) == "auto"
    with pytest.raises(ValueError, match="`end_step` must be None, 'auto'"):
        methods.RigL(end_step="never")
    with pytest.raises(ValueError, match="`start_step` must be below"):
        methods.RigL(end_step=5, start_step=5)
    with pytest.raises(ValueError, match="`start_step` must be an integer"):
        methods.RigL(start_step=-1)


def test_gradients_that_are_accumulated_count_as_one_update():
    model = a_model()
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9, gradient_accumulation_steps=2),
        "mse",
    )
    method = methods.RigL(0.4)
    # Sixteen updates in four epochs.
    assert moved(model, method, 4) == by_hand(method, 0, 12, 16)
    assert dsr_tf.sparsity_summary(model).num_active == 120
