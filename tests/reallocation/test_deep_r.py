"""DeepR: signs, the exact budget, and draws on the device."""

import keras
import numpy as np
import pytest

from dsr_tf import layers
from dsr_tf import methods
from dsr_tf.callbacks import Reallocation
from dsr_tf.core import hashing
from tests.conftest import assert_same
from tests.conftest import assert_zero_outside_masks
from tests.conftest import make_model
from tests.conftest import needs_tensorflow
from tests.conftest import snapshot
from tests.conftest import values


def fit(model, data, method, epochs=2, listener=None, first=0, **arguments):
    callback = Reallocation(
        method, period=10, seed=0, listener=listener, **arguments
    )
    return model.fit(
        *data,
        batch_size=8,
        initial_epoch=first,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[callback],
    )


def sgd(rate=0.1):
    return keras.optimizers.SGD(rate, momentum=0.9)


MODES = [
    {"run_eagerly": True},
    {"jit_compile": False},
    {"jit_compile": True},
    {"jit_compile": True, "steps_per_execution": 5},
]

pytestmark = needs_tensorflow


def test_every_kernel_keeps_its_number_and_modes_agree(data):
    found = []
    for mode in MODES:
        model, records = make_model(sgd(), **mode), []
        fit(model, data, methods.DeepR(1e-4), listener=records.append)
        assert [r.step for r in records] == [10, 20, 30], mode
        for record in records:
            assert list(record.active.values()) == [72, 18], mode
            assert record.pruned == record.grown
            assert record.num_grown > 0
        assert_zero_outside_masks(model)
        found.append([values(w.mask) for w in layers.masked_weights(model)])
    for masks in found[1:]:
        assert_same(found[0], masks)


class _Watch(keras.callbacks.Callback):
    """Compares masks and signs before and after every step."""

    def __init__(self):
        super().__init__()
        self.moved = 0

    def _look(self):
        return [
            (values(w.mask).copy(), np.sign(values(w.kernel)))
            for w in layers.masked_weights(self.model)
        ]

    def on_train_batch_begin(self, batch, logs=None):
        self.before = self._look()

    def on_train_batch_end(self, batch, logs=None):
        for (old, old_sign), (new, sign) in zip(self.before, self._look()):
            stayed = old & new
            started = np.abs(sign) > 0
            assert (started == new).all()
            # A weight that stays active in its place keeps its sign, unless
            # all that broke theirs had to start afresh where they were.
            if (old != new).any():
                assert (old_sign[stayed] == sign[stayed]).all()
            assert old.sum() == new.sum()
            self.moved += int((new & ~old).sum())


def test_signs_are_kept_and_moves_counted(data):
    model, records, watch = make_model(sgd(0.02)), [], _Watch()
    callback = Reallocation(
        methods.DeepR(1e-6), period=10, seed=0, listener=records.append
    )
    model.fit(
        *data, batch_size=8, epochs=2, verbose=0, callbacks=[callback, watch]
    )
    assert watch.moved > 0
    # The last ten steps have not been reported.
    assert 0 < sum(r.num_grown for r in records) <= watch.moved


def test_no_noise_and_no_gradient_move_nothing(data):
    model, records = make_model(sgd(1e-12)), []
    fit(model, data, methods.DeepR(0.0), listener=records.append)
    assert [r.num_grown for r in records] == [0, 0, 0]


def test_l1_pulls_towards_zero(data):
    """A learning rate of 0.01 for 40 steps: 0.4 * l1, beside the noise."""
    model = make_model(keras.optimizers.SGD(0.01))
    weight = layers.masked_weights(model)[0]
    model.trainable = True
    before = values(weight.kernel)
    # A loss without a gradient for the kernels.
    model.compile(
        keras.optimizers.SGD(0.01),
        loss=lambda y_true, y_pred: 0.0 * keras.ops.sum(y_pred, axis=-1),
    )
    fit(model, data, methods.DeepR(0.0, l1=0.1))
    after, mask = values(weight.kernel), values(weight.mask)
    still = mask & (np.abs(before) > 0.05)
    assert still.any()
    np.testing.assert_allclose(
        np.abs(after[still]), np.abs(before[still]) - 0.04, atol=1e-5
    )


def test_noise_has_the_strength_of_the_paper(data):
    """One step without gradient: sqrt(2 * 0.5 * 0.01) for each weight."""
    model = keras.Sequential(
        [keras.Input((12,)), layers.SparseDense(4000, 0.5, seed=0)]
    )
    model.compile(
        keras.optimizers.SGD(0.5),
        loss=lambda y_true, y_pred: 0.0 * keras.ops.sum(y_pred, axis=-1),
    )
    (weight,) = layers.masked_weights(model)
    mask = values(weight.mask)
    weight.kernel.assign(10.0 * mask)
    callback = Reallocation(methods.DeepR(0.01), period=10, seed=3)
    model.fit(*data, batch_size=160, verbose=0, callbacks=[callback])
    noise = values(weight.kernel)[mask] - 10
    assert noise.mean() == pytest.approx(0, abs=0.003)
    assert noise.std() == pytest.approx(0.1, rel=0.02)
    assert abs(np.mean((noise / 0.1) ** 3)) < 0.05
    assert np.mean((noise / 0.1) ** 4) == pytest.approx(3, abs=0.4)


def test_stops(data):
    model, records = make_model(sgd()), []
    fit(
        model,
        data,
        methods.DeepR(1e-4),
        epochs=4,
        listener=records.append,
        stop_epoch=2,
    )
    assert [r.step for r in records] == [10, 20, 30]
    masks = [values(w.mask) for w in layers.masked_weights(model)]
    # Without the callback the constraints rest.
    model.fit(*data, batch_size=8, verbose=0)
    assert_same(masks, [values(w.mask) for w in layers.masked_weights(model)])


@pytest.mark.parametrize("split", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_goes_on_after_loading(data, tmp_path, split):
    whole, halved = make_model(sgd()), make_model(sgd())
    fit(whole, data, methods.DeepR(1e-4), epochs=3)
    fit(halved, data, methods.DeepR(1e-4), epochs=split)
    halved.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    fit(loaded, data, methods.DeepR(1e-4), epochs=3, first=split)
    assert_same(snapshot(whole)[:8], snapshot(loaded)[:8])


def test_a_full_kernel_stays_as_it_is(data):
    model, records = make_model(sgd(), sparsity=0.0), []
    fit(model, data, methods.DeepR(1e-3), listener=records.append)
    assert {r.num_active for r in records} == {300}
    assert {r.num_grown for r in records} == {0}


def test_temperature_follows_the_epoch():
    method = methods.DeepR({0: 1e-2, 5: 1e-4})
    assert method.temperature_at(4) == 1e-2
    assert method.temperature_at(5) == 1e-4
    assert methods.DeepR(0).temperature_at(3) == 0


@pytest.mark.parametrize(
    "arguments",
    [{"temperature": -1}, {"temperature": {1: 0.1}}, {"l1": -0.1}],
)
def test_bad_arguments(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"`{name}` must.*Received: {name}="):
        methods.DeepR(**arguments)


def test_groups_have_no_sign(data):
    model = keras.Sequential(
        [keras.Input((12,)), layers.SparseDense(3, 0.5, "channel")]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="needs granularity 'element'"):
        fit(model, data, methods.DeepR())


def test_hashes_are_spread_evenly():
    """Every bit is set half of the time, for near positions and steps."""
    import tensorflow as tf

    for key in (0, 1, 2**31):
        bits = hashing.hash_of(tf.range(20000), tf.constant(key, "uint32"))
        bits = bits.numpy()
        share = [((bits >> b) & 1).mean() for b in range(32)]
        np.testing.assert_allclose(share, 0.5, atol=0.015)
        uniform = hashing.uniform(tf.constant(bits)).numpy()
        assert abs(np.corrcoef(uniform[1:], uniform[:-1])[0, 1]) < 0.03
        counts, _ = np.histogram(uniform, 20, (0, 1))
        assert ((counts - 1000) ** 2 / 1000).sum() < 45
