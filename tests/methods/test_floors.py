"""Each kernel keeps a part of what ERK would give it."""

import keras
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import dsr_tf
from dsr_tf import methods
from dsr_tf.callbacks import Reallocation
from dsr_tf.methods import floors
from dsr_tf.methods.method import KernelView
from dsr_tf.reallocation.state import ReallocationState
from tests.conftest import assert_zero_outside_masks


def view(shape, scores, num_pruned=0):
    scores = np.asarray(scores, "float32")
    free = int(np.prod(shape)) - len(scores)
    return KernelView(scores, free, 1, num_pruned, shape=shape)


def test_of_erk():
    """Shares of 10 + 6 and 4 + 2; of 12 weights 8.7 and 3.3, by remainders 9
    and 3."""
    kernels = [view((10, 6), np.ones(8)), view((4, 2), np.ones(4))]
    assert floors.of_erk(1, 12, kernels) == [9, 3]
    assert floors.of_erk(0.5, 12, kernels) == [4, 1]
    assert floors.of_erk(0, 12, kernels) == [0, 0]
    # No more than all of a kernel.
    assert floors.of_erk(1, 50, kernels) == [42, 8]


def test_small_weights_of_a_kernel_at_its_floor_stay():
    """All of the second are smaller than those of the first. Its floor is 3
    of 12 by half of ERK: of its 4 it loses what is above, or a half."""
    kernels = [
        view((10, 2), 1 + np.arange(8)),
        view((10, 2), [0.4, 0.1, 0.2, 0.3]),
    ]
    method = methods.Adaptive(0.5, 100, floor=0.5)
    pruned = method.prune(kernels, ReallocationState(), 0)
    assert pruned[1].tolist() == [False, True, True, False]
    assert pruned[0].tolist() == [True] * 4 + [False] * 4
    drained = methods.Adaptive(0.5, 100, floor=0.0)
    pruned = drained.prune(kernels, ReallocationState(), 0)
    assert pruned[1].tolist() == [False, True, True, True]


def test_growth_fills_up_to_the_floors_first():
    """Half of ERK is 5 and 5 of 20; the second has 1 left, so of a growth
    of 8 it gets 4, and of the other 4 a part of 1 to 11."""
    kernels = [
        view((10, 4), np.ones(16), num_pruned=5),
        view((10, 4), np.ones(4), num_pruned=3),
    ]
    assert floors.missing(0.5, 8, kernels) == [0, 4]
    assert methods.Adaptive(floor=0.5).redistribute(8, kernels) == [4, 4]
    assert methods.Adaptive(floor=0.0).redistribute(8, kernels) == [7, 1]
    assert floors.missing(0.9, 4, kernels) == [0, 4]
    # Where less grows than is missing, each has its share of that: by ERK all
    # three have 8 of 24, so 6 and 3 are missing.
    three = [view((10, 4), np.ones(n)) for n in (2, 5, 14)]
    assert floors.missing(1.0, 3, three) == [2, 1, 0]
    assert floors.missing(1.0, 0, kernels) == [0, 0]


shapes = st.tuples(st.integers(1, 12), st.integers(1, 12))


@given(st.lists(shapes, min_size=1, max_size=5), st.data())
def test_growth_is_exact_and_has_room(shapes, data):
    kernels = []
    for shape in shapes:
        active = data.draw(st.integers(1, int(np.prod(shape))))
        num_pruned = data.draw(st.integers(0, active - 1))
        kernels.append(view(shape, np.ones(active), num_pruned))
    room = [kernel.num_growable_groups for kernel in kernels]
    total = data.draw(st.integers(0, sum(room)))
    part = data.draw(st.floats(0, 1))
    first = floors.missing(part, total, kernels)
    assert sum(first) <= total
    grown = methods.Adaptive(floor=part).redistribute(total, kernels)
    assert sum(grown) == total
    assert all(a <= b <= c for a, b, c in zip(first, grown, room))
    # Either all that is missing grows or nothing else does.
    survivors = [kernel.num_surviving_weights for kernel in kernels]
    wanted = floors.of_erk(part, total + sum(survivors), kernels)
    is_filled = all(
        n + grows >= floor or grows == most
        for n, grows, floor, most in zip(survivors, grown, wanted, room)
    )
    assert is_filled or sum(first) == total


def test_fit_brings_kernels_up_to_their_floors():
    """From a tenth each, 114, 30 and 4 of 148; ERK gives them shares of 68, 40
    and 14, so 82.5, 48.5 and 17."""
    keras.utils.set_random_seed(0)
    layer = dsr_tf.layers.SparseDense
    layers = [layer(30, 0.9, seed=1), layer(10, 0.9, seed=2), layer(4, 0.9)]
    model, records = keras.Sequential([keras.Input((38,)), *layers]), []
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(64, 38)).astype("float32")
    method = methods.Adaptive(0.3, None, growth="random", floor=1.0)
    callback = Reallocation(method, 2, seed=3, listener=records.append)
    model.fit(x, x[:, :4], batch_size=8, verbose=0, callbacks=[callback])
    for record in records:
        assert list(record.active.values()) == [82, 49, 17]
    assert_zero_outside_masks(model)
