"""`period="auto"`: by the number of updates in an epoch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dsr_tf.callbacks import DynamicSparseReparameterization
from tests.callbacks.shared import fit
from tests.conftest import assert_same
from tests.conftest import make_model
from tests.conftest import snapshot


def automatic(records, **arguments):
    return DynamicSparseReparameterization(
        15, "auto", seed=0, listener=records.append, **arguments
    )


def unknown(data):
    """The 20 batches of an epoch, and nothing says how many there are."""
    return tf.data.Dataset.from_generator(
        lambda: iter(zip(data[0].reshape(20, 8, 12), data[1].reshape(20, 8))),
        output_signature=(
            tf.TensorSpec((8, 12), tf.float32),
            tf.TensorSpec((8,), tf.int32),
        ),
    )


def messages(caplog):
    return [r.message for r in caplog.records if "'auto' takes" in r.message]


@pytest.mark.parametrize("steps_per_execution", [1, 2])
def test_a_fifth_of_the_steps_of_fit(data, caplog, steps_per_execution):
    records = []
    model = make_model(steps_per_execution=steps_per_execution)
    fit(model, data, automatic(records))
    # 20 steps an epoch.
    assert [r.step for r in records] == list(range(4, 40, 4))
    fit(model, data, automatic(records), epochs=1, steps_per_epoch=10)
    assert [r.step for r in records[9:]] == list(range(40, 50, 2))
    assert not messages(caplog)


def test_the_period_doubles(data):
    records = []
    model = make_model()
    fit(model, data, automatic(records), epochs=27, initial_epoch=24)
    assert [r.step for r in records] == [4, 8, 12, 16, *range(24, 60, 8)]


def test_gradients_that_accumulate_make_fewer_updates(data):
    records = []
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    fit(make_model(optimizer), data, automatic(records))
    # 10 updates an epoch; each is looked at before both of its batches.
    assert [r.step for r in records] == list(range(2, 20, 2))


@pytest.mark.parametrize("epochs", [11, 5])
def test_epochs_of_unknown_length(data, epochs, caplog):
    """A hundred updates, also in a second training, on another process."""
    model, records = make_model(), []
    callback = automatic(records)
    with caplog.at_level("WARNING", logger="absl"):
        for start in range(0, 11, epochs):
            model.fit(
                unknown(data),
                epochs=min(11, start + epochs),
                initial_epoch=start,
                verbose=0,
                callbacks=[callback],
            )
    assert {r.step for r in records} == {100, 200}
    assert "takes it for 500 updates" in messages(caplog)[0]
    assert len(messages(caplog)) == len(range(0, 11, epochs))


def test_a_resumed_training_is_the_same(data, tmp_path):
    def run(*epochs):
        model, records, start = make_model("adam"), [], 0
        for end in epochs:
            model.save(tmp_path / "m.keras")
            model = keras.saving.load_model(tmp_path / "m.keras")
            callback = automatic(records)
            fit(model, data, callback, epochs=end, initial_epoch=start)
            start = end
        return snapshot(model), [r.step for r in records]

    (once, steps), (twice, again) = run(4), run(1, 4)
    assert steps == again
    assert_same(once, twice)


def test_a_loop_of_ones_own(data, caplog):
    model, records = make_model(), []
    callback = automatic(records, model=model)
    callback.begin()
    with caplog.at_level("WARNING", logger="absl"):
        for step in range(210):
            callback.before_step(0)
            batch = np.arange(8) + 8 * (step % 20)
            model.train_on_batch(*(array[batch] for array in data))
    callback.end()
    assert [r.step for r in records] == [100, 200]
    assert len(messages(caplog)) == 1


def test_the_default_moves_weights_of_any_model(data):
    model, records = make_model(), []
    callback = DynamicSparseReparameterization(
        period=2, seed=0, listener=records.append
    )
    fit(model, data, callback, epochs=2)
    # A tenth of 90 weights, once the threshold has found its place.
    moved = [r.num_pruned for r in records[10:]]
    assert 4 < np.mean(moved) < 18, moved
    assert {r.num_active for r in records} == {90}
