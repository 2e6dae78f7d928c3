"""Of what a kernel has room for, how much is for the largest gradients."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from dsr_tf.core.room import Room
from dsr_tf.reallocation.kernel import Kernel


def a_kernel(room, num_groups, active, gradients, candidates=None):
    grouping = SimpleNamespace(
        room=room,
        num_groups=num_groups,
        pattern=None,
        kernel_shape=(num_groups,),
    )
    weight = SimpleNamespace(grouping=grouping, path="kernel", group_size=1)
    return Kernel(
        weight,
        np.array(active),
        np.ones(len(active), "float32"),
        num_groups - len(active),
        0,
        None,
        np.array(gradients, "float32"),
        candidates,
    )


def test_half_of_the_room_is_for_the_largest():
    """Two columns of six groups, of which four may be active."""
    kernel = a_kernel(Room(4, 2), 12, [0, 1], [1, 9, 2, 8, 3, 7, 4, 6, 5, 0.5])
    kernel.find_growable(np.random.default_rng(0), 0.5)
    # Room for three of each column: two by gradient, and one at random. In
    # memory order free groups are of the first column, then of the second.
    gradients = kernel.view().free_gradients
    assert sorted(gradients) == [0, 0, 4, 5, 8, 9]
    assert len(set(kernel.growable)) == 6
    assert np.bincount(kernel.growable % 2).tolist() == [3, 3]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([Room(5), Room(3, 4), Room(3, 4, 6)]),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.integers(0, 999),
)
def test_there_is_room_for_all(room, share, seed):
    generator = np.random.default_rng(seed)
    order = room.first_that_fit(generator.permutation(24), 24)
    active = np.sort(order[: generator.integers(1, len(order) + 1)])
    kernel = a_kernel(room, 24, active, generator.random(24 - len(active)))
    kernel.pruned = generator.random(len(active)) < 0.5
    kernel.find_growable(generator, share)
    view = kernel.view()
    assert view.num_growable_groups <= view.num_free_groups
    if kernel.growable is None:
        assert room.num_bins == 1 and share != 0.5
        return
    count = view.num_growable_groups
    assert len(set(kernel.growable)) == count == len(kernel.growable)
    kernel.grow(np.arange(count), None)
    grown = kernel.moves.grown
    assert not np.isin(grown, active).any() and grown.max(initial=0) < 24
    room.check(np.concatenate([active[~kernel.pruned], grown]))


@pytest.mark.parametrize("room", [Room(9), Room(9, 2), Room(9, 2, 12)])
def test_the_rest_is_any_of_the_others(room):
    """Each with the same chance, whatever their gradients."""
    counts = np.zeros(22)
    for seed in range(400):
        kernel = a_kernel(room, 24, [3, 20], np.arange(22))
        kernel.find_growable(np.random.default_rng(seed), 0.5)
        counts[kernel.growable] += 1
    by_gradient = counts == 400
    assert 4 <= by_gradient.sum() <= 10
    rest = counts[~by_gradient]
    assert abs(rest - rest.mean()).max() < 4.5 * np.sqrt(rest.mean())
