"""Hooks reach the compiled step, whatever the model was trained with before."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import methods
from dsr_tf.callbacks import Reallocation
from dsr_tf.layers import masked_weights
from tests.conftest import assert_same
from tests.conftest import assert_zero_outside_masks
from tests.conftest import make_model
from tests.conftest import needs_jax
from tests.conftest import values

METHODS = {
    "rigl": lambda: methods.RigL(0.3),
    "snfs": lambda: methods.SNFS(0.3, 100),
    "adaptive": lambda: methods.Adaptive(),
    "half": lambda: methods.DSR(40, growth="half"),
}

IN_CI = {("snfs", "nothing"), ("adaptive", "nothing"), ("half", "set")}


def momentum():
    return keras.optimizers.SGD(0.1, momentum=0.9)


def far_off(targets, outputs):
    distance = keras.ops.cast(targets, "float32") - outputs[:, 0]
    return 1000.0 + keras.ops.mean(keras.ops.abs(distance))


def trained_on(model, data, callback):
    """Where weights grew in two epochs."""
    moves = []
    callback.listener = lambda record: moves.append(
        {path: moved.grown.tolist() for path, moved in record.moves.items()}
    )
    model.fit(*data, epochs=2, shuffle=False, verbose=0, callbacks=[callback])
    return moves


# One of each that RigL's does not stand for; the others by hand.
@pytest.mark.parametrize(
    "name, first",
    [
        pytest.param(
            name,
            first,
            marks=()
            if name == "rigl" or (name, first) in IN_CI
            else pytest.mark.slow,
        )
        for name in METHODS
        for first in ("nothing", "set", "same")
    ],
)
def test_a_training_before_leaves_no_trace(name, first, data, tmp_path):
    """A model from a file has been trained before, but not in this process."""
    model = make_model(momentum())
    before = {
        "nothing": [],
        "set": [Reallocation(methods.SET(0.3), 5, seed=0)],
        "same": [Reallocation(METHODS[name](), 5, seed=0)],
    }[first]
    model.fit(*data, epochs=1, verbose=0, callbacks=before)
    model.save(tmp_path / "model.keras")
    twin = keras.models.load_model(tmp_path / "model.keras")
    moves, expected = (
        trained_on(one, data, Reallocation(METHODS[name](), 5, seed=0))
        for one in (model, twin)
    )
    assert expected
    assert moves == expected
    assert_same(model.get_weights(), twin.get_weights())


@pytest.mark.parametrize(
    "name", ["rigl", pytest.param("adaptive", marks=pytest.mark.slow)]
)
def test_a_training_leaves_no_trace_in_the_next(name, data, tmp_path):
    """The callback is kept, and the same again or another follows."""
    model = make_model(momentum())
    kept = Reallocation(METHODS[name](), 5, seed=0)
    model.fit(*data, epochs=1, verbose=0, callbacks=[kept])
    model.save(tmp_path / "model.keras")
    twin = keras.models.load_model(tmp_path / "model.keras")
    for callbacks in ([], [Reallocation(methods.DSR(20), 5, seed=0)], [kept]):
        for one in (model, twin):
            one.compile(momentum(), far_off)
        # What the one has learnt, the other must learn.
        for one in (model, twin):
            found = one.fit(
                *data, shuffle=False, verbose=0, callbacks=callbacks
            )
            assert found.history["loss"][0] > 900
        assert_same(model.get_weights(), twin.get_weights())
        assert_zero_outside_masks(model)


@pytest.mark.parametrize(
    "name", ["rigl", pytest.param("adaptive", marks=pytest.mark.slow)]
)
def test_a_loop_leaves_no_trace_in_a_training(name, data, tmp_path):
    """Nothing was compiled before: whoever steps first compiles the hooks."""
    model = make_model(momentum())
    loop = Reallocation(METHODS[name](), 5, seed=0, model=model)
    loop.begin()
    for x, y in zip(*(np.split(part, 10) for part in data)):
        loop.before_step()
        model.train_on_batch(x, y)
    loop.end()
    model.save(tmp_path / "model.keras")
    twin = keras.models.load_model(tmp_path / "model.keras")
    for callback in (None, Reallocation(METHODS[name](), 5, seed=0)):
        moves, expected = (
            trained_on(one, data, callback)
            if callback
            else one.fit(*data, shuffle=False, verbose=0).history
            for one in (model, twin)
        )
        assert moves == expected
    assert_same(model.get_weights(), twin.get_weights())


def test_compiled_amid_a_training_no_hook_is_left(data):
    model = make_model(momentum())
    model.fit(*data, verbose=0)
    reallocation = Reallocation(methods.RigL(0.3), 5, seed=0, model=model)
    reallocation.begin()
    model.fit(*data, verbose=0, callbacks=[reallocation])
    model.compile(model.optimizer, far_off)
    model.fit(*data, verbose=0, callbacks=[reallocation])
    with_hooks = model.train_function
    reallocation.end()
    assert with_hooks is not None
    assert model.train_function is None


def test_penalties_that_came_after_a_training_count(data):
    model = make_model(keras.optimizers.SGD(0.01))
    kept = Reallocation(methods.RigL(0.3), 5, seed=0)
    model.fit(*data, epochs=1, verbose=0, callbacks=[kept])
    before = np.abs(values(masked_weights(model)[0].kernel)).max()
    penalty = {"kernel": keras.regularizers.L2(10.0)}
    dsr_tf.regularize(model, penalty, inplace=True)
    model.fit(*data, epochs=3, verbose=0)
    after = np.abs(values(masked_weights(model)[0].kernel)).max()
    assert after < before / 2


def test_blocks_move_after_another_training(data):
    dense = keras.Sequential(
        [keras.Input((12,)), keras.layers.Dense(32), keras.layers.Dense(4)]
    )
    model = dsr_tf.sparsify(
        dense, 0.6, granularity="block:4", storage="blocks", seed=0
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    model.fit(*data, verbose=0)
    records = []
    reallocation = Reallocation(period=3, seed=0, listener=records.append)
    model.fit(*data, epochs=3, verbose=0, callbacks=[reallocation])
    assert sum(record.num_grown for record in records) > 0


@needs_jax
def test_a_loop_over_devices():
    """Where Keras must know the state of all before it compiles."""
    code = """
import keras, numpy as np
from dsr_tf import methods
from dsr_tf.callbacks import Reallocation
from tests.conftest import make_model
devices = keras.distribution.list_devices()
assert len(devices) == 2
keras.distribution.set_distribution(
    keras.distribution.DataParallel(devices=devices)
)
model, records = make_model("adam"), []
callback = Reallocation(
    methods.RigL(0.3), 2, seed=0, model=model, listener=records.append
)
callback.begin()
x = np.random.default_rng(0).normal(size=(64, 12)).astype("float32")
y = np.zeros(64, "int32")
model.fit(x, y, batch_size=16, epochs=2, verbose=0, callbacks=[callback])
callback.end()
assert sum(record.num_grown for record in records) > 0
"""
    flags = "--xla_force_host_platform_device_count=2"
    subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "XLA_FLAGS": flags},
        check=True,
    )
