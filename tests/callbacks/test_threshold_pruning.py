"""Pruning below thresholds, in real trainings."""

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import layers
from dsr_tf.callbacks import GradualPruning
from dsr_tf.callbacks import ThresholdPruning
from dsr_tf.pruning import Kept
from dsr_tf.pruning import LinearThreshold
from dsr_tf.pruning import Rule
from dsr_tf.pruning import StdThreshold
from dsr_tf.reallocation.device import NotFinite
from tests.callbacks.shared import fit
from tests.callbacks.shared import momentum
from tests.callbacks.shared import warnings_of
from tests.conftest import assert_same
from tests.conftest import assert_zero_outside_masks
from tests.conftest import by_hand_on_jax
from tests.conftest import make_model
from tests.conftest import needs_tensorflow
from tests.conftest import snapshot
from tests.conftest import values

# Due after updates 5, 10, ..., 30 of 40.
LINEAR = LinearThreshold(0.3, start=2, ramp=18, end=34, frequency=5)
STD = StdThreshold(0.8, 5, end=34)


def by_rule(in_ci, by_hand):
    """A test of both rules, of which one runs in CI."""
    rules = [in_ci, pytest.param(by_hand, marks=pytest.mark.slow)]
    return pytest.mark.parametrize(
        "rule", rules, ids=lambda rule: type(rule).__name__
    )


def dense_start(**compile_arguments):
    return make_model(momentum(), sparsity=0.0, **compile_arguments)


class Weights(keras.callbacks.Callback):
    """What kernels and masks are before each step, in a list."""

    def __init__(self):
        super().__init__()
        self.kernels, self.masks = [], []

    def on_train_batch_begin(self, batch, logs=None):
        found = layers.masked_weights(self.model)
        self.kernels.append([values(w.kernel) for w in found])
        self.masks.append([values(w.mask) for w in found])


def assert_empty_slots(model):
    """Invariant 2: the momentum of inactive weights is 0."""
    for weight, slot in zip(
        layers.masked_weights(model), model.optimizer.momentums[::2]
    ):
        assert slot.shape == weight.kernel.shape
        assert not values(slot)[~values(weight.mask)].any()


def test_the_linear_path_of_a_training(data):
    model, records = dense_start(), []
    before, after = Weights(), Weights()
    pruning = ThresholdPruning(LINEAR, listener=records.append)
    fit(model, data, before, pruning, after)
    assert [r.step for r in records] == [5, 10, 15, 20, 25, 30]
    # theta / f = 2 * 0.3 / (2 * 16 + 3 * 16) = 0.0075, phi = 1.5 theta.
    expected = [0.0075 * (t - 1) for t in (5, 10, 15)]
    expected += [0.0075 * (17 + 1.5 * (t - 17)) for t in (20, 25, 30)]
    found = [r.threshold for r in records]
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    thresholds = {r.step: r.threshold for r in records}
    for step in range(40):
        for kernel, mask, new in zip(
            before.kernels[step], before.masks[step], after.masks[step]
        ):
            threshold = np.float64(thresholds.get(step, -1))
            np.testing.assert_array_equal(
                new, mask & (np.abs(kernel) > threshold)
            )
    # Each pruning found something, and most of the weights are gone.
    assert all(r.num_pruned for r in records)
    assert records[-1].num_active < 150
    assert_zero_outside_masks(model)
    assert_empty_slots(model)


def test_the_deviation_of_the_dense_layer(data):
    """It is taken once: prunings after the first go by the same threshold."""
    model, records = dense_start(), []
    before, after = Weights(), Weights()
    rule = StdThreshold({"a/": 0.5, "b/": 1.0}, 5, end=34)
    fit(model, data, before, ThresholdPruning(rule, records.append), after)
    assert [r.step for r in records] == [5, 10, 15, 20, 25, 30]
    deviations = [k.astype("float64").std() for k in before.kernels[5]]
    for number, weight in enumerate(layers.masked_weights(model)):
        kept = values(weight.layer.dense_deviation)
        assert kept.tolist() == [np.float32(deviations[number])]
        threshold = np.float64([0.5, 1.0][number] * float(kept[0]))
        for step in (5, 10, 30):
            np.testing.assert_array_equal(
                after.masks[step][number],
                before.masks[step][number]
                & (np.abs(before.kernels[step][number]) > threshold),
            )
    # A threshold for each kernel.
    assert {r.threshold for r in records} == {None}
    assert records[0].num_pruned > sum(r.num_pruned for r in records[1:]) > 0
    assert_zero_outside_masks(model)
    assert_empty_slots(model)


@by_rule(STD, LINEAR)
def test_goes_on_after_loading(data, tmp_path, rule):
    whole = dense_start()
    fit(whole, data, ThresholdPruning(rule))
    halved = dense_start()
    fit(halved, data, ThresholdPruning(rule), epochs=1)
    halved.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    fit(loaded, data, ThresholdPruning(rule), initial_epoch=1)
    assert_same(snapshot(whole), snapshot(loaded))
    assert sum(w.num_active for w in layers.masked_weights(whole)) < 240


@by_rule(LINEAR, STD)
@needs_tensorflow
def test_several_steps_of_an_execution(data, rule):
    """10 in place of 5 updates: every other pruning falls away."""
    model, records = dense_start(steps_per_execution=10), []
    fit(model, data, ThresholdPruning(rule, records.append))
    assert [r.step for r in records] == [10, 20, 30]
    # 4 divides neither; 28 is looked at before 30 is due.
    model, records = dense_start(steps_per_execution=4), []
    fit(model, data, ThresholdPruning(rule, records.append))
    assert [r.step for r in records] == [8, 12, 16, 20, 28, 32]
    if rule is LINEAR:
        due = [5, 10, 15, 20, 25, 30]
        expected = [LINEAR.threshold_at(0.3, t) for t in due]
        assert [r.threshold for r in records] == expected


@by_hand_on_jax
def test_every_kind_of_layer():
    """What no expression names stays dense."""
    dense = keras.Sequential(
        [
            keras.Input((3, 3)),
            keras.layers.Conv1D(4, 2, name="conv"),
            keras.layers.LSTM(4, return_sequences=True, name="lstm"),
            keras.layers.GRU(4, return_sequences=True, name="gru"),
            keras.layers.SimpleRNN(4, name="rnn"),
            keras.layers.Dense(3, name="fc"),
        ]
    )
    model = dsr_tf.sparsify(dense, 0.0)
    # Compiling these takes longer than training them, but for JAX.
    is_eager = keras.backend.backend() == "tensorflow"
    model.compile("adam", "mse", run_eagerly=is_eager)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(32, 3, 3)).astype("float32")
    y = generator.normal(size=(32, 3)).astype("float32")
    records = []
    rule = StdThreshold({"lstm|gru|rnn": 0.7, "conv": 0.2}, 2)
    fit(model, (x, y), ThresholdPruning(rule, records.append), epochs=2)
    assert [r.step for r in records] == [2, 4, 6]
    assert list(records[-1].pruned) == [
        "conv/kernel",
        *(
            f"{name}/{cell}/{kernel}"
            for name, cell in (
                ("lstm", "lstm_cell"),
                ("gru", "gru_cell"),
                ("rnn", "simple_rnn_cell"),
            )
            for kernel in ("kernel", "recurrent_kernel")
        ),
        "fc/kernel",
    ]
    for weight in layers.masked_weights(model):
        is_pruned = weight.num_active < weight.size
        assert is_pruned == (weight.path != "fc/kernel"), weight.path
    assert_zero_outside_masks(model)


def test_frozen_weights_never_move(data):
    model, records = dense_start(), []
    model.get_layer("a").trainable = False
    model.compile(momentum(), "sparse_categorical_crossentropy")
    frozen = values(layers.masked_weights(model)[0].kernel)
    fit(model, data, ThresholdPruning(STD, records.append))
    first, second = layers.masked_weights(model)
    np.testing.assert_array_equal(values(first.kernel), frozen)
    assert first.num_active == 240 and second.num_active < 60
    assert records[-1].num_active == second.num_active
    rule = StdThreshold({"a/": 1.0}, 5)
    with pytest.raises(ValueError, match="'a/' is found in none of b/kernel"):
        fit(model, data, ThresholdPruning(rule))


def test_groups_of_the_masks_go_as_one(data):
    model = keras.Sequential(
        [
            keras.Input((12,)),
            layers.SparseDense(20, 0.0, "block:2x2", name="a"),
            layers.SparseDense(3, 0.0, "channel", name="b"),
        ]
    )
    model.compile(momentum(), "sparse_categorical_crossentropy")
    before, after = Weights(), Weights()
    rule = StdThreshold({"a": 0.8, "b": 30}, 5, end=6)
    fit(model, data, before, ThresholdPruning(rule), after, epochs=1)
    kernel = np.abs(before.kernels[5][0])
    means = kernel.reshape(6, 2, 10, 2).mean((1, 3), dtype="float64")
    deviation = before.kernels[5][0].astype("float64").std()
    # None of them is so near that it would depend on rounding.
    assert np.abs(means / deviation - 0.8).min() > 1e-4
    mask = after.masks[5][0].reshape(-1)
    np.testing.assert_array_equal(mask, (means > 0.8 * deviation).reshape(-1))
    assert 0 < mask.sum() < 60
    # The largest channel stays.
    assert layers.masked_weights(model)[1].num_active == 20


def test_what_does_not_fit():
    model = keras.Sequential(
        [keras.Input((12,)), layers.SparseDense(8, 0.5, "2:4", name="a")]
    )
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="`granularity` must not be N:M"):
        ThresholdPruning(STD).check(model)
    model = dense_start()
    rule = StdThreshold({"kernel": 1.0, "b/": 0.5}, 5)
    with pytest.raises(ValueError, match="b/kernel is matched by several"):
        ThresholdPruning(rule).check(model)
    with pytest.raises(TypeError, match="`rule` must be .*Received: rule=0.5"):
        ThresholdPruning(0.5)
    plain = keras.Sequential([keras.Input((12,)), keras.layers.Dense(3)])
    plain.compile("sgd", "mse")
    with pytest.raises(ValueError, match="no masked layers.*sparsify"):
        ThresholdPruning(STD).check(plain)


@pytest.mark.parametrize(
    "rule, reason",
    [
        (
            LinearThreshold(0.3, 30, 40, 50, 10),
            "before any pruning: they are due after update 30 and before "
            "update 50, every 10 updates, each before the batch that follows",
        ),
        (StdThreshold(1.0, 50), "due after update 0, every 50 updates, each"),
        (
            StdThreshold(0.0, 5),
            "its prunings up to update 20 found nothing to prune from 300 "
            "active weights: all are above the thresholds of StdThreshold",
        ),
    ],
    ids=["linear", "std", "in vain"],
)
def test_a_callback_that_pruned_nothing_says_why(rule, reason, data, caplog):
    fit(dense_start(), data, ThresholdPruning(rule), epochs=1)
    (message,) = warnings_of(caplog)
    assert message.startswith("ThresholdPruning changed no mask") and (
        reason in message
    )


class Half(Rule):
    """Once, after 7 updates: the first half of the groups stays."""

    def is_due(self, step, last_step):
        return step >= 7 > last_step

    def next_due(self, step, last_step):
        return 7 if step < 7 else None

    def keep(self, kernel, step):
        places = np.arange(len(kernel.active))
        return Kept(kernel.active & (places < len(places) / 2))


def test_a_rule_of_ones_own(data):
    model, records = dense_start(), []
    fit(model, data, ThresholdPruning(Half(), records.append))
    (record,) = records
    assert (record.step, record.num_active, record.threshold) == (7, 150, None)
    for weight in layers.masked_weights(model):
        first, second = np.split(values(weight.mask).reshape(-1), 2)
        assert first.all() and not second.any()
    assert_empty_slots(model)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda active: ~active, "keeps groups which are inactive from Bad"),
        (lambda active: active & False, "a mask that keeps nothing from Bad"),
        (lambda active: active[1:], r"a mask of bool and shape .* from Bad"),
        (lambda active: active.astype(int), r"a mask of int64 and shape"),
    ],
)
def test_a_rule_that_keeps_what_it_may_not(data, change, message):
    class Bad(Half):
        def keep(self, kernel, step):
            return Kept(change(kernel.active))

    model = make_model(momentum(), sparsity=0.5)
    with pytest.raises(ValueError, match=message):
        fit(model, data, ThresholdPruning(Bad()))


def test_weights_that_are_not_finite(data):
    model = dense_start()
    kernel = values(model.get_layer("b")._kernel).copy()
    kernel[0, 0] = np.nan
    model.get_layer("b")._kernel.assign(kernel)
    with pytest.raises(NotFinite, match="not finite"):
        fit(model, data, ThresholdPruning(StdThreshold(1.0, 10)))


@pytest.mark.parametrize("kind", ["gradual", "std"])
def test_a_new_optimizer_counts_from_0(data, kind):
    """What an earlier training has pruned last is not what this one has."""

    def pruning(strength):
        if kind == "std":
            rule = StdThreshold(strength, 10)
            return ThresholdPruning(rule, records.append)
        return GradualPruning(
            target_sparsity=strength,
            sparsity_function_end_step=1,
            listener=records.append,
        )

    model, records = dense_start(), []
    fit(model, data, pruning(0.5))
    kept = values(model.get_layer("a").dense_deviation)
    model.compile(momentum(), model.loss)
    fit(model, data, pruning(0.9))
    assert [r.step for r in records] == [10, 20, 30] * 2
    assert records[3].num_pruned > 0
    # A second round of Deep Compression: the deviation is the dense layer's.
    assert values(model.get_layer("a").dense_deviation) == kept
    assert (kept > 0) == (kind == "std")
