import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsr_tf import methods
from dsr_tf.core import granularity
from dsr_tf.core.optimizer_slots import slots
from dsr_tf.layers import masked_weights
from dsr_tf.reallocation import reallocator as reallocators
from dsr_tf.reallocation.device import Device
from dsr_tf.reallocation.device import NotFinite
from dsr_tf.reallocation.kernel import places_of_free
from dsr_tf.reallocation.reallocator import Reallocator
from tests.conftest import assert_same
from tests.conftest import make_model
from tests.conftest import needs_tensorflow
from tests.conftest import snapshot
from tests.conftest import values


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.randoms())
def test_places_of_free(mask, random):
    free = [place for place, is_active in enumerate(mask) if not is_active]
    ranks = random.sample(range(len(free)), random.randint(0, len(free)))
    active = np.flatnonzero(mask).astype("int32")
    for start in (0, 100):
        found = places_of_free(np.array(ranks, "int64"), active + start, start)
        expected = sorted(start + free[rank] for rank in ranks)
        assert found.tolist() == expected


def test_places_of_free_beyond_32_bits():
    active = np.array([3, 2**32 + 1, 2**32 + 2])
    found = places_of_free(np.array([2**32 + 1, 3, 2**32]), active)
    assert found.tolist() == [4, 2**32 + 3, 2**32 + 4]


@needs_tensorflow
def test_the_fifth_model_is_no_reason_to_warn():
    """TensorFlow counts by this key, and tells at the fifth time.

    (It does so twice in a process, perhaps long before this test.)
    """
    models = make_model(), make_model()
    devices = [Device(masked_weights(m), m.optimizer) for m in models]
    for name in ("_read", "_move", "_start"):
        one, other = (getattr(device, name) for device in devices)
        assert one._key_for_call_stats != other._key_for_call_stats


@pytest.mark.parametrize("gathers", [False, True])
def test_reading(data, gathers):
    model = make_model("adam")
    model.fit(*data, epochs=1, verbose=0)
    masked = masked_weights(model)
    device = Device(masked, model.optimizer, gathers)
    first = 0
    for kernel, weight in zip(device.read(), masked):
        mask = values(weight.mask).reshape(-1)
        stored = np.abs(values(weight.kernel).reshape(-1))
        np.testing.assert_array_equal(
            kernel.active - first, np.flatnonzero(mask)
        )
        np.testing.assert_array_equal(kernel.scores, stored[mask])
        assert kernel.num_free_groups == np.count_nonzero(~mask)
        if gathers:
            slot = values(momentum_of(model, weight.kernel))
            slot = np.abs(slot.reshape(-1))
            np.testing.assert_array_equal(kernel.active_gradients, slot[mask])
            np.testing.assert_array_equal(kernel.free_gradients, slot[~mask])
        first += weight.size


def momentum_of(model, kernel):
    index = [v is kernel for v in model.trainable_variables].index(True)
    return model.optimizer._momentums[index]


def test_reading_only_where_gradients_are_not_0(data):
    model = make_model("adam")
    model.fit(*data, epochs=1, verbose=0)
    masked = masked_weights(model)
    dead, alive = (momentum_of(model, weight.kernel) for weight in masked[:2])
    slot = values(dead)
    slot[:, ::2] = 0
    dead.assign(slot)
    alive.assign(np.ones(alive.shape) * 1e-30)
    device = Device(masked, model.optimizer, True, only_alive=True)
    kernels = device.read()
    for kernel, weight in zip(kernels, masked):
        mask = values(weight.mask).reshape(-1)
        slot = np.abs(values(momentum_of(model, weight.kernel)).reshape(-1))
        np.testing.assert_array_equal(kernel.active_gradients, slot[mask])
        np.testing.assert_array_equal(kernel.free_gradients, slot[~mask] > 0)
    assert not kernels[0].free_gradients.all()
    assert kernels[1].free_gradients.all()


@pytest.mark.parametrize("only_alive", [False, True])
@pytest.mark.parametrize("is_active", [False, True])
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_slots_that_are_not_finite_are_named(
    data, only_alive, is_active, number
):
    model = make_model("adam")
    model.fit(*data, epochs=1, verbose=0)
    masked = masked_weights(model)
    weight = masked[1]
    slot = values(momentum_of(model, weight.kernel))
    slot[tuple(np.argwhere(values(weight.mask) == is_active)[0])] = number
    momentum_of(model, weight.kernel).assign(slot)
    device = Device(masked, model.optimizer, True, only_alive=only_alive)
    with pytest.raises(NotFinite, match=f"slots of {weight.path} .*{number}"):
        device.read()


def test_slots_that_came_after_the_first_step(data):
    """A reallocation before training knows no slots; the next one does."""
    model = make_model("adam")
    masked = masked_weights(model)
    reallocator = Reallocator(model, methods.SET(0.5))
    assert not model.optimizer.built
    reallocator.step(model.optimizer, 0)
    model.fit(*data, epochs=2, verbose=0)
    before = [values(w.mask) for w in masked]
    reallocator.step(model.optimizer, 10)
    for weight, old in zip(masked, before):
        moved = values(weight.mask) != old
        assert moved.any()
        found = slots(model.optimizer, weight.kernel)
        assert len(found) == 2
        for slot, _ in found:
            assert not values(slot)[moved].any()


@pytest.mark.parametrize("name", ["element", "kernel", "channel", "block:2x4"])
def test_scores_on_the_device_are_those_of_the_host(name):
    kernel = np.random.default_rng(0).normal(size=(3, 3, 8, 16))
    kernel = kernel.astype("float32")
    grouping = granularity.get(name).grouping(kernel.shape)
    np.testing.assert_allclose(
        values(grouping.scores_of(kernel)),
        np.abs(grouping.groups(kernel)).mean(axis=1),
        rtol=1e-6,
    )


@needs_tensorflow
@pytest.mark.parametrize(
    "method",
    [methods.DSR(40), methods.SNFS(0.3, 100), methods.Static()],
    ids=lambda method: type(method).__name__,
)
def test_moving_with_xla(data, method, monkeypatch):
    """As on a GPU, for which the places are padded."""
    results = []
    for jit_compile in (False, True):
        monkeypatch.setattr(
            reallocators, "is_on_gpu", lambda it=jit_compile: it
        )
        model = make_model(keras.optimizers.SGD(0.1, momentum=0.9))
        reallocator = Reallocator(model, method)
        reallocator.check(model.optimizer)
        for step in (1, 2, 3):
            model.fit(*data, epochs=1, shuffle=False, verbose=0)
            reallocator.step(model.optimizer, step)
        results.append(snapshot(model))
    assert_same(*results)
