import keras
import numpy as np
import pytest
import tensorflow as tf

import dsr_tf
from dsr_tf import layers
from dsr_tf.callbacks import DynamicSparseReparameterization
from dsr_tf.callbacks import Reallocation
from dsr_tf.reallocation.state import ReallocationState
from tests.conftest import assert_same
from tests.conftest import assert_zero_outside_masks
from tests.conftest import make_model
from tests.conftest import needs_jax
from tests.conftest import snapshot
from tests.conftest import values


def dsr(records, period=10, **arguments):
    arguments = {"num_reallocated": 15, "seed": 0, **arguments}
    return DynamicSparseReparameterization(
        period=period, listener=records.append, **arguments
    )


def fit(model, data, callbacks, epochs=2, batch_size=8, **arguments):
    """Batches of 8: 20 steps an epoch."""
    return model.fit(
        *data,
        batch_size=batch_size,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=callbacks,
        **arguments,
    )


def test_every_period_and_not_after_the_last_step_and_modes_agree(data):
    def masks(**mode):
        model, records = make_model(**mode), []
        budget = sum(w.num_active for w in layers.masked_weights(model))
        fit(model, data, [dsr(records)], epochs=3)
        assert [r.step for r in records] == [10, 20, 30, 40, 50]
        assert {r.num_active for r in records} == {budget}
        assert all(r.num_grown == r.num_pruned for r in records)
        assert_zero_outside_masks(model)
        return [values(w.mask) for w in layers.masked_weights(model)]

    eager = masks(run_eagerly=True)
    assert_same(eager, masks(jit_compile=False))
    masks(jit_compile=True)


def test_steps_per_execution_that_divides_is_exact(data):
    def run(steps):
        model, records = make_model(steps_per_execution=steps), []
        fit(model, data, [dsr(records)], epochs=3)
        return snapshot(model)[:-2], [r.step for r in records]

    (first, steps), (second, more) = run(1), run(5)
    assert steps == more == [10, 20, 30, 40, 50]
    assert_same(first, second)


def test_steps_per_execution_that_does_not_divide_says_so_once(data, caplog):
    model, records = make_model(steps_per_execution=4), []
    with caplog.at_level("WARNING", logger="absl"):
        fit(model, data, [dsr(records)], epochs=3)
    # The first multiples of 4 at or after multiples of 10.
    assert [r.step for r in records] == [12, 20, 32, 40, 52]
    warnings = [r for r in caplog.records if "not divisible" in r.message]
    assert len(warnings) == 1


def test_an_incomplete_last_execution(data):
    """23 batches in executions of 5: the last has 3."""
    x, y = data
    model, records = make_model(steps_per_execution=5), []
    fit(model, (x[:138], y[:138]), [dsr(records, 5)], 2, batch_size=6)
    assert int(model.optimizer.iterations) == 46
    assert [r.step for r in records] == [5, 10, 15, 20, 28, 33, 38, 43]


def test_period_schedule_and_stop_epoch(data):
    model, records = make_model(), []
    callback = dsr(records, {0: 5, 1: 10, 2: 15}, stop_epoch=4)
    fit(model, data, [callback], epochs=6)
    # Epochs of 20 steps; step 20 is due in epoch 1, where 10 divides it,
    # and step 40 is not in epoch 2, where multiples of 15 count.
    assert [r.step for r in records] == [5, 10, 15, 20, 30, 45, 60, 75]


def test_a_dataset_of_unknown_size(data):
    batches = tf.data.Dataset.from_generator(
        lambda: iter(zip(data[0].reshape(20, 8, 12), data[1].reshape(20, 8))),
        output_signature=(
            tf.TensorSpec((8, 12), tf.float32),
            tf.TensorSpec((8,), tf.int32),
        ),
    )
    model, records = make_model(), []
    model.fit(batches, epochs=3, verbose=0, callbacks=[dsr(records)])
    # Where the data turn out to be at an end, JAX undoes what was done for
    # the batch that is not there; it is done again, to the same effect.
    moved = list(dict.fromkeys(r.step // 10 for r in records))
    assert moved in ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6])
    assert len({(r.step, str(r.grown)) for r in records}) == len(moved)
    assert_zero_outside_masks(model)


def test_several_fits_are_one_training(data):
    def run(*epochs):
        model, records = make_model("adam"), []
        start = 0
        for n in epochs:
            callback = dsr(records, 7)
            fit(
                model,
                data,
                [callback],
                epochs=start + n,
                initial_epoch=start,
            )
            start += n
        return snapshot(model), [r.step for r in records]

    (once, steps), (thrice, again) = run(4), run(1, 1, 2)
    assert steps == again
    assert_same(once, thrice)


def test_a_model_trained_before_does_not_catch_up(data):
    model, records = make_model(), []
    fit(model, data, [], epochs=1, batch_size=6)  # 27 steps
    fit(model, data, [dsr(records)], epochs=1)
    assert [r.step for r in records] == [30, 40]
    # A new optimizer counts from 0 again.
    model.compile("sgd", "sparse_categorical_crossentropy")
    records.clear()
    fit(model, data, [dsr(records)], epochs=1)
    assert [r.step for r in records] == [10]


@pytest.mark.parametrize("file", ["m.keras", "m.weights.h5"])
def test_resume_from_a_file_is_exact(file, data, tmp_path):
    def fresh():
        return make_model(keras.optimizers.Adam(0.01))

    def save(epoch, logs):
        if epoch != 1:
            return
        part.extend(records)
        if file == "m.keras":
            whole.save(tmp_path / file)
        else:
            whole.save_weights(tmp_path / file)

    whole, records, part = fresh(), [], []
    saving = keras.callbacks.LambdaCallback(on_epoch_end=save)
    fit(whole, data, [dsr(records, 7), saving], epochs=4)

    if file == "m.keras":
        second = keras.models.load_model(tmp_path / file)
    else:
        second = fresh()
        second.optimizer.build(second.trainable_variables)
        second.load_weights(tmp_path / file)
    # No seed: the one that training began with lies in the file.
    fit(second, data, [dsr(part, 7, seed=None)], epochs=4, initial_epoch=2)
    assert [r.step for r in part] == [r.step for r in records]
    # Keras drops the model's name from paths when it loads a Sequential.
    for ours, theirs in zip(part, records):
        assert [*ours.grown.values()] == [*theirs.grown.values()]
        assert ours.threshold == theirs.threshold
    assert_same(
        [values(v) for v in whole.weights], [values(v) for v in second.weights]
    )


def test_backup_and_restore(data, tmp_path):
    class Crash(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def run(*extra):
        keras.utils.set_random_seed(1)
        model = make_model("adam")
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        fit(model, data, [backup, dsr([], 7), *extra], epochs=5)
        return model

    with pytest.raises(KeyboardInterrupt):
        run(Crash())
    resumed, whole = run(), make_model("adam")
    keras.utils.set_random_seed(1)
    whole = make_model("adam")
    fit(whole, data, [dsr([], 7)], epochs=5)
    assert_same(
        [values(v) for v in whole.weights], [values(v) for v in resumed.weights]
    )


def test_logs_of_an_epoch(data):
    model, records = make_model(), []
    history = fit(model, data, [dsr(records, 15)], epochs=3).history
    assert history["mask_density"] == [0.3] * 3
    moved = {r.step // 20: r.num_grown for r in records}
    assert history["num_reallocated"] == [moved.get(e, 0) for e in range(3)]
    assert history["threshold"][-1] == pytest.approx(
        1e-3
        * 2.0
        ** ReallocationState.read(
            layers.masked_weights(model), dsr_tf.methods.DSR()
        ).method_state["threshold_exponent"]
    )


def test_set_moves_within_kernels_only(data):
    model, records = make_model(), []
    method = dsr_tf.methods.SET(0.25)
    callback = Reallocation(method, 5, seed=0, listener=records.append)
    fit(model, data, [callback])
    assert len(records) == 7
    for record in records:
        assert record.pruned == record.grown
        assert record.grown == {"a/kernel": 18, "b/kernel": 4}
        assert record.active == {"a/kernel": 72, "b/kernel": 18}
    assert_zero_outside_masks(model)


def test_a_share_moves_as_the_number_that_it_is(data):
    def run(**arguments):
        model, records = make_model(), []
        fit(model, data, [dsr(records, **arguments)], epochs=3)
        return snapshot(model), [r.num_grown for r in records]

    # A sixth of 90.
    (first, moved), (second, again) = run(), run(num_reallocated=1 / 6)
    assert moved == again and sum(moved) > 0
    assert_same(first, second)


def test_static_never_moves(data):
    model = make_model()
    before = [values(w.mask) for w in layers.masked_weights(model)]
    callback = Reallocation(dsr_tf.methods.Static(), period=1)
    history = fit(model, data, [callback]).history
    assert_same(before, [values(w.mask) for w in layers.masked_weights(model)])
    assert history["mask_density"] == [0.3, 0.3]
    assert "threshold" not in history


def test_seeds(data):
    def masks(seed):
        model = make_model()
        fit(model, data, [dsr([], seed=seed)])
        return np.concatenate(
            [values(w.mask).reshape(-1) for w in layers.masked_weights(model)]
        )

    assert np.array_equal(masks(1), masks(1))
    assert not np.array_equal(masks(1), masks(2))


@pytest.mark.parametrize(
    "policy",
    [
        "mixed_float16",
        "bfloat16",
        pytest.param("mixed_bfloat16", marks=pytest.mark.slow),
    ],
)
def test_mixed_precision(policy, data):
    keras.config.set_dtype_policy(policy)
    model, records = make_model("adam"), []
    fit(model, data, [dsr(records)], epochs=3)
    assert len({r.num_active for r in records}) == 1
    assert sum(r.num_grown for r in records) > 0
    assert_zero_outside_masks(model)


def test_penalties_and_decay_leave_zeros(data):
    penalty = keras.regularizers.L1L2(1e-3, 1e-3)
    model = keras.Sequential(
        [
            keras.Input((12,)),
            layers.SparseDense(20, 0.7, kernel_regularizer=penalty),
            layers.SparseDense(3, 0.7, kernel_constraint="max_norm"),
        ]
    )
    model.compile(
        keras.optimizers.AdamW(weight_decay=0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    fit(model, data, [dsr([])])
    assert_zero_outside_masks(model)


def test_muon_is_refused_unless_it_leaves_masked_layers_alone(data):
    model = make_model(keras.optimizers.Muon())
    with pytest.raises(ValueError, match="Muon updates every weight"):
        fit(model, data, [dsr([])])
    model = make_model(keras.optimizers.Muon(exclude_layers=["a", "b"]))
    if keras.version().startswith("3.12."):
        # That Muon trains no model on TensorFlow, with masks or without.
        plain = dsr_tf.strip(model)
        plain.compile(keras.optimizers.Muon(), model.loss)
        with pytest.raises(AttributeError, match="no attribute 'path'"):
            fit(plain, data, [])
        return
    fit(model, data, [dsr([])])
    assert_zero_outside_masks(model)


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"period": 0}, ValueError, "`period`.*Received: period=0"),
        ({"period": 1.5}, ValueError, "positive integer"),
        ({"period": {3: 5}}, ValueError, "starts at epoch 0"),
        ({"stop_epoch": -1}, ValueError, "Received: stop_epoch=-1"),
        ({"seed": -1}, ValueError, "Received: seed=-1"),
        ({"method": "dsr"}, TypeError, "Received: method='dsr'"),
        ({"listener": 3}, TypeError, "Received: listener=3"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        Reallocation(
            **{"method": dsr_tf.methods.DSR(), "period": 10, **arguments}
        )


def test_a_dense_model_is_refused_before_training(data):
    model = keras.Sequential([keras.Input((12,)), keras.layers.Dense(3)])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="has no masked layers"):
        fit(model, data, [dsr([])])
    assert int(model.optimizer.iterations) == 0


@needs_jax
def test_deep_r_is_tensorflows_alone(data):
    model = make_model()
    callback = Reallocation(dsr_tf.methods.DeepR(), period=10)
    with pytest.raises(ValueError, match="TensorFlow backend only.*jax"):
        fit(model, data, [callback])
    assert int(model.optimizer.iterations) == 0
