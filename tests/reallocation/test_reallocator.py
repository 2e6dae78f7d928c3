import keras
import numpy as np
import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from dsr_tf import layers
from dsr_tf import methods
from dsr_tf.core.draws import MAX_SEED
from dsr_tf.core.optimizer_slots import slots
from dsr_tf.reallocation.reallocator import Reallocator
from dsr_tf.reallocation.state import ReallocationState
from tests.conftest import assert_zero_outside_masks
from tests.conftest import make_model
from tests.conftest import slow_on_jax
from tests.conftest import values

OPTIMIZERS = {
    "sgd": keras.optimizers.SGD,
    "nesterov": lambda: keras.optimizers.SGD(0.1, 0.9, nesterov=True),
    "adam": keras.optimizers.Adam,
    "amsgrad": lambda: keras.optimizers.Adam(amsgrad=True),
    "adamw": keras.optimizers.AdamW,
    "rmsprop": lambda: keras.optimizers.RMSprop(momentum=0.9, centered=True),
    "lion": keras.optimizers.Lion,
    "adagrad": keras.optimizers.Adagrad,
    "adadelta": keras.optimizers.Adadelta,
    "adamax": keras.optimizers.Adamax,
    "nadam": keras.optimizers.Nadam,
    "ftrl": keras.optimizers.Ftrl,
    "adafactor": keras.optimizers.Adafactor,
    "lamb": keras.optimizers.Lamb,
    "ema": lambda: keras.optimizers.Adam(use_ema=True),
    "accumulation": lambda: keras.optimizers.Adam(
        gradient_accumulation_steps=2
    ),
    "loss_scale": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Adam()
    ),
}
if not keras.version().startswith("3.12."):
    # It is newer than that.
    OPTIMIZERS["schedule_free"] = keras.optimizers.ScheduleFreeAdamW


def trained(data, optimizer, **arguments):
    model = make_model(optimizer, **arguments)
    model.fit(*data, batch_size=32, epochs=2, verbose=0)
    return model


def set_kernel(weight, active_values):
    """Make the first weights active, with these values."""
    kernel = np.zeros(weight.size, "float32")
    kernel[: len(active_values)] = active_values
    mask = np.arange(weight.size) < len(active_values)
    weight.kernel.assign(kernel.reshape(weight.kernel.shape))
    weight.mask.assign(mask.reshape(weight.mask.shape))


def test_one_step_by_hand(data):
    model = trained(data, keras.optimizers.SGD(0.1, 0.9))
    a, b = layers.masked_weights(model)
    set_kernel(a, [0.1, -0.2, 0.3])
    set_kernel(b, [0.5, -0.6, 0.05, 0.7])
    momentum = slots(model.optimizer, a.kernel)[0][0]
    momentum.assign(np.ones(momentum.shape))
    method = methods.DSR(3, initial_threshold=0.25)
    record = Reallocator(model, method).step(model.optimizer, step=40)

    assert record.pruned == {"a/kernel": 2, "b/kernel": 1}
    assert record.grown == {"a/kernel": 1, "b/kernel": 2}
    assert record.active == {"a/kernel": 2, "b/kernel": 5}
    assert (record.step, record.threshold, record.carry) == (40, 0.25, 0)
    kernel = values(a.kernel).reshape(-1)
    np.testing.assert_allclose(kernel[:3], [0, 0, 0.3])
    assert np.count_nonzero(kernel) == 1
    # Momentum: 0 where pruned and where grown, untouched elsewhere.
    expected = np.ones(a.size)
    expected[:2] = 0
    expected[np.flatnonzero(values(a.mask).reshape(-1))[1]] = 0
    np.testing.assert_array_equal(values(momentum).reshape(-1), expected)
    state = ReallocationState.read([a, b])
    assert (state.num_reallocations, state.last_step) == (1, 40)


def test_the_last_weight_of_a_kernel_stays(data):
    model = trained(data, "sgd")
    a, b = layers.masked_weights(model)
    set_kernel(a, [0.01, 0.03, 0.02])
    set_kernel(b, np.ones(9))
    record = Reallocator(model, methods.DSR(2, initial_threshold=0.5)).step(
        model.optimizer, 0
    )
    assert record.pruned["a/kernel"] == 2
    assert values(a.mask).reshape(-1)[1] and values(a.kernel).reshape(-1)[1]


def test_a_full_model_moves_only_what_has_room(data):
    model = trained(data, "sgd", sparsity=0.05)
    weights = layers.masked_weights(model)
    budget = sum(w.num_active for w in weights)
    free = sum(w.size for w in weights) - budget
    method = methods.DSR(100, initial_threshold=1e6)
    record = Reallocator(model, method).step(model.optimizer, 0)
    assert record.num_pruned == record.num_grown == free
    assert sum(w.num_active for w in weights) == budget


@settings(
    max_examples=6 if keras.backend.backend() == "tensorflow" else 3,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    sparsities=st.tuples(st.floats(0, 0.98), st.floats(0, 0.98)),
    exponent=st.integers(-3, 12),
    seed=st.integers(0, MAX_SEED),
)
def test_invariants(data, sparsities, exponent, seed):
    """Budget, zeros, no regrowth at once, last weights, repeatability."""
    generator = np.random.default_rng(seed)
    kernels, masks = [], []
    for shape, sparsity in zip(((12, 20), (20, 3)), sparsities):
        mask = generator.random(shape) >= sparsity
        mask.reshape(-1)[generator.integers(mask.size)] = True
        masks.append(mask)
        kernels.append(generator.normal(size=shape) * mask * 1e-3)

    def run():
        model = make_model(keras.optimizers.Adam())
        model.optimizer.build(model.trainable_variables)
        weights = layers.masked_weights(model)
        for weight, kernel, mask in zip(weights, kernels, masks):
            weight.kernel.assign(kernel)
            weight.mask.assign(mask)
        ReallocationState(seed=seed).write(weights)
        method = methods.DSR(1, initial_threshold=1e-3 * 2.0**exponent)
        reallocator = Reallocator(model, method)
        history = []
        for step in range(3):
            before = [values(w.mask) for w in weights]
            old = [values(w.kernel) for w in weights]
            record = reallocator.step(model.optimizer, step)
            after = [values(w.mask) for w in weights]
            new = [values(w.kernel) for w in weights]
            history.append((record, after))
            for w, b, a, o, n in zip(weights, before, after, old, new):
                pruned, grown = b & ~a, a & ~b
                assert pruned.sum() == record.pruned[w.path]
                assert grown.sum() == record.grown[w.path]
                assert a.sum() == record.active[w.path] >= 1
                np.testing.assert_array_equal(n[a & b], o[a & b])
                assert not n[~(a & b)].any()
            assert record.num_active == sum(m.sum() for m in masks)
        return history

    first, second = run(), run()
    for (record, after), (again, after_again) in zip(first, second):
        assert record == again
        for a, b in zip(after, after_again):
            np.testing.assert_array_equal(a, b)


def test_growth_is_not_of_what_was_just_pruned(data):
    """With as much room as is pruned, all of the room is used."""
    model = trained(data, "sgd")
    a, b = layers.masked_weights(model)
    set_kernel(a, np.full(120, 1e-9))
    set_kernel(b, np.ones(60))
    Reallocator(model, methods.DSR(5, initial_threshold=0.5)).step(
        model.optimizer, 0
    )
    mask = values(a.mask).reshape(-1)
    assert mask[:120].sum() == 1 and mask[120:].sum() == 119


# A pair of each form of slots.
ON_JAX = ("sgd", "nesterov", "adam", "ftrl", "adafactor", "accumulation")
ON_JAX += ("loss_scale", "schedule_free")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=[] if name in ON_JAX else slow_on_jax,
        )
        for name in OPTIMIZERS
    ],
)
def test_slots_of_every_optimizer(name, data):
    """Moved weights start afresh; training goes on and keeps zeros."""
    if name == "ema" and keras.backend.backend() == "jax":
        pytest.skip("Keras 3.15 cannot fit twice with use_ema on JAX")
    model = trained(data, OPTIMIZERS[name]())
    weights = layers.masked_weights(model)
    before = [values(w.mask) for w in weights]
    size = sum(w.num_active for w in weights)
    found = [slots(model.optimizer, w.kernel) for w in weights]
    old = [[values(slot) for slot, _ in pairs] for pairs in found]
    if name not in ("sgd", "adafactor"):
        assert all(found)
    record = Reallocator(model, methods.DSR(20, initial_threshold=0.1)).step(
        model.optimizer, 0
    )
    assert record.num_pruned > 0
    for weight, mask, pairs, olds in zip(weights, before, found, old):
        stayed = mask & values(weight.mask)
        moved = mask ^ values(weight.mask)
        for (slot, fresh), old_slot in zip(pairs, olds):
            new = values(slot)
            assert (new[moved] == np.float32(fresh)).all()
            np.testing.assert_array_equal(new[stayed], old_slot[stayed])
    model.fit(*data, batch_size=32, epochs=2, verbose=0)
    assert_zero_outside_masks(model)
    assert sum(w.num_active for w in weights) == size
    assert all(np.isfinite(values(w.kernel)).all() for w in weights)


def test_fresh_accumulators_are_not_zero(data):
    model = trained(data, keras.optimizers.Ftrl())
    (weight, _) = layers.masked_weights(model)
    assert 0.1 in [fresh for _, fresh in slots(model.optimizer, weight.kernel)]


def test_an_optimizer_of_several(data):
    model = make_model("sgd")
    weights = layers.masked_weights(model)
    for optimizer in (keras.optimizers.Adam(),):
        optimizer.build([weights[1].kernel])
        assert slots(optimizer, weights[0].kernel) == []
        assert len(slots(optimizer, weights[1].kernel)) == 2


def test_a_broken_rule_is_found_out(data):
    class Greedy(methods.Method):
        def prune(self, kernels, state, step):
            return [k.scores < 0.1 for k in kernels]

        def redistribute(self, total, kernels):
            return [k.num_pruned_groups + 1 for k in kernels]

    model = trained(data, "sgd")
    before = [values(w.mask) for w in layers.masked_weights(model)]
    with pytest.raises(RuntimeError, match="broke the budget"):
        Reallocator(model, Greedy()).step(model.optimizer, 0)
    after = [values(w.mask) for w in layers.masked_weights(model)]
    for a, b in zip(before, after):
        np.testing.assert_array_equal(a, b)


def test_a_model_without_masks_is_refused():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="has no masked layers.*sparsify"):
        Reallocator(model, methods.DSR(1))


def test_a_budget_too_small_for_the_method_is_refused():
    with pytest.raises(ValueError, match="Received: num_reallocated=600"):
        Reallocator(make_model(), methods.DSR(600)).check("sgd")
