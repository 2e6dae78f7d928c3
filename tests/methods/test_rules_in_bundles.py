"""Rules for granularities N:M, which move weights within bundles."""

import numpy as np
import pytest

from dsr_tf import methods
from dsr_tf.methods import grow
from dsr_tf.methods import prune
from dsr_tf.methods.method import Bundles
from dsr_tf.methods.method import KernelView


def test_no_bundle_loses_more_than_it_can_grow():
    """3:4, so that one is free in each bundle."""
    scores = np.array([0.1, 0.2, 0.9, 0.5, 0.6, 0.3], "float32")
    slots = np.array([0, 1, 3, 4, 5, 7])
    # 0.2 is smaller than 0.3, but the first bundle has lost one already.
    pruned = prune.smallest_with_room(scores, 2, slots, 4)
    assert pruned.tolist() == [1, 0, 0, 0, 0, 1]
    pruned = prune.smallest_with_room(scores, 6, slots, 4)
    assert pruned.tolist() == [1, 0, 0, 0, 0, 1]
    assert not prune.smallest_with_room(scores, 0, slots, 4).any()


def test_full_bundles_lose_nothing():
    scores = np.array([0.1, 0.2, 0.3], "float32")
    slots = np.array([0, 1, 2])
    pruned = prune.smallest_with_room(scores, 1, slots, 2)
    assert pruned.tolist() == [0, 0, 1]


def test_a_bundle_grows_what_it_lost():
    scores = np.array([0.1, 0.9, 0.2, 0.2], "float32")
    slots = np.array([2, 3, 4, 6])
    grown = grow.largest_of_each(scores, np.array([1, 1]), slots, 4)
    # Of two equal ones the first.
    assert grown.tolist() == [1, 2]
    grown = grow.largest_of_each(scores, np.array([0, 2]), slots, 4)
    assert grown.tolist() == [2, 3]


def view(num_pruned):
    """2:4; the second bundle is active at its ends."""
    return KernelView(
        np.array([0.4, 0.1, 0.2, 0.3], "float32"),
        num_free_groups=4,
        group_size=1,
        num_pruned_groups=sum(num_pruned),
        free_gradients=np.array([0.0, 3.0, 2.0, 1.0], "float32"),
        bundles=Bundles(
            4,
            np.array([0, 1, 4, 7]),
            np.array([2, 3, 5, 6]),
            np.array(num_pruned),
        ),
    )


@pytest.mark.parametrize("method", [methods.SET(0.5), methods.RigL(0.5)])
def test_what_methods_prune(method):
    (pruned,) = method.prune([view([0, 0])], None, step=0)
    assert pruned.tolist() == [0, 1, 1, 0]


def test_growth_by_gradient():
    grown = methods.RigL(0.5).grow(view([1, 1]), 2, None)
    assert grown.tolist() == [1, 2]
    assert methods.RigL(0.5).grow(view([0, 2]), 2, None).tolist() == [2, 3]


def test_random_growth_is_uniform_in_each_bundle():
    generator = np.random.default_rng(0)
    counts = np.zeros(4)
    for _ in range(2000):
        chosen = methods.SET(0.5).grow(view([1, 1]), 2, generator)
        assert sorted(chosen // 2) == [0, 1]
        counts[chosen] += 1
    # Expected 1000 each, standard deviation 22.
    assert abs(counts - 1000).max() < 110
