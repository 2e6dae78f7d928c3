import dataclasses
import types

import numpy as np
import pytest

from dsr_tf import methods
from dsr_tf.methods.method import KernelView
from dsr_tf.reallocation.state import ReallocationState


@pytest.mark.parametrize(
    "num_below, exponent",
    [(0, 1), (89, 1), (90, 0), (100, 0), (110, 0), (111, -1), (5000, -1)],
)
def test_threshold_adapts_once_a_step(num_below, exponent):
    state = ReallocationState()
    method = methods.DSR(num_reallocated=100, tolerance=0.1)
    method.update(state, num_below, 1000)
    assert state.method_state["threshold_exponent"] == exponent
    assert method.threshold(state) == 1e-3 * 2.0**exponent


def test_threshold_stays_finite():
    method, state = methods.DSR(100), ReallocationState()
    for _ in range(3000):
        method.update(state, 0, 5000)
    assert 0 < method.threshold(state) < np.inf
    for _ in range(6000):
        method.update(state, 1000, 5000)
    assert 0 < method.threshold(state) < 1e-30


@pytest.mark.parametrize(
    "share, budget, wanted",
    # A tie goes to the even number; never less than one.
    [(0.1, 1000, 100), (0.5, 5, 2), (0.02, 5324, 106), (1e-9, 1000, 1)],
)
def test_a_share_is_that_number_of_the_budget(share, budget, wanted):
    for num_below in range(max(0, wanted - 5), wanted + 6):
        exponents = []
        for k in (share, wanted):
            state = ReallocationState()
            methods.DSR(k, tolerance=0).update(state, num_below, budget)
            exponents.append(state.method_state["threshold_exponent"])
        assert exponents[0] == exponents[1]
        assert exponents[0] == np.sign(wanted - num_below)


@pytest.mark.parametrize(
    ("wanted", "num_below", "warns"),
    [(50, 501, True), (50, 500, False), (400, 801, True), (400, 800, False)],
)
def test_pruning_most_weights_at_once_is_said(wanted, num_below, warns, caplog):
    state = ReallocationState()
    methods.DSR(wanted).update(state, num_below, 1000)
    assert ("pruned at once" in caplog.text) == warns
    # Once is enough: it may go on so to the end of the training.
    methods.DSR(wanted).update(state, num_below, 1000)
    assert caplog.text.count("pruned at once") == int(warns)


def test_a_share_of_nearly_everything_is_refused():
    methods.DSR(0.9).validate(10)
    with pytest.raises(ValueError, match="weights, 10. R.*=0.96, which is 10"):
        methods.DSR(0.96).validate(10)
    with pytest.raises(ValueError, match="Received: num_reallocated=10$"):
        methods.DSR(10).validate(10)


@pytest.mark.parametrize("k", [600, 600 / 5324])
def test_set_takes_k_of_dsr(k):
    settings = types.SimpleNamespace(fraction=None, num_reallocated=k)
    method = methods.SET.from_settings(settings, 5324, 600)
    assert method.fraction == 600 / 5324
    settings.num_reallocated = 0.02
    method = methods.SET.from_settings(settings, 5324, 600)
    assert method.fraction == 106 / 5324


def test_dsr_on_two_kernels():
    """K = 3 of weights .1 .2 .3 | .5 .6 .05 .7, H = .25: pruned .1 .2 |
    .05; survivors 1 and 3; growth of 3 is shared .75 and 2.25."""
    method = methods.DSR(3, initial_threshold=0.25)
    first = np.array([0.1, 0.2, 0.3], "float32")
    second = np.array([0.5, 0.6, 0.05, 0.7], "float32")
    views = [KernelView(first, 9, 1), KernelView(second, 9, 1)]
    pruned = method.prune(views, ReallocationState(), 0)
    assert [p.tolist() for p in pruned] == [
        [True, True, False],
        [False, False, True, False],
    ]
    views = [KernelView(first, 9, 1, 2), KernelView(second, 9, 1, 1)]
    assert method.redistribute(3, views) == [1, 2]


def test_set_keeps_every_kernel_as_large_as_it_is():
    """A half of 4 weights; of 6, but there is room for one only."""
    views = [
        KernelView(np.array([0.4, 0.1, 0.3, 0.2], "float32"), 9, 1),
        KernelView(np.arange(6, dtype="float32"), 1, 1),
    ]
    method = methods.SET(0.5)
    pruned = method.prune(views, ReallocationState(), 0)
    assert [p.tolist() for p in pruned] == [[0, 1, 0, 1], [1, 0, 0, 0, 0, 0]]
    views = [
        dataclasses.replace(view, num_pruned_groups=int(p.sum()))
        for view, p in zip(views, pruned)
    ]
    assert method.redistribute(3, views) == [2, 1]


@pytest.mark.parametrize("fraction", [0, 1, -0.1, "0.3", True])
def test_bad_fractions(fraction):
    with pytest.raises(ValueError, match="Received: fraction="):
        methods.SET(fraction)


def test_static_prunes_nothing():
    view = KernelView(np.zeros(4, "float32"), 9, 1)
    (pruned,) = methods.Static().prune([view], ReallocationState(), 0)
    assert pruned.tolist() == [False] * 4


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_reallocated": 0},
        {"num_reallocated": 1.5},
        {"num_reallocated": True},
        {"num_reallocated": 1.0},
        {"num_reallocated": 0.0},
        {"num_reallocated": -0.1},
        {"num_reallocated": float("nan")},
        {"num_reallocated": "0.1"},
        {"tolerance": 1},
        {"tolerance": -0.1},
        {"tolerance": "0.1"},
        {"initial_threshold": 0},
        {"initial_threshold": float("inf")},
        {"initial_threshold": float("nan")},
    ],
)
def test_bad_arguments(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"`{name}` must.*Received: {name}="):
        methods.DSR(**arguments)
