import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsr_tf.core import draws
from dsr_tf.core.granularity import get
from dsr_tf.core.grouping import Grouping
from dsr_tf.core.room import Room
from dsr_tf.core.room import draw_in_bins
from dsr_tf.core.room import ranks


def test_ranks():
    assert ranks(np.array([2, 0, 2, 2, 1, 0])).tolist() == [0, 0, 1, 2, 0, 1]
    assert ranks(np.zeros(0, "int64")).tolist() == []


def test_what_fits():
    room = Room(num_slots=1, num_bins=3)
    order = np.array([4, 1, 0, 3, 5])  # of bins 1, 1, 0, 0, 2
    assert room.first_that_fit(order, 5).tolist() == [4, 0, 5]
    assert room.first_that_fit(order, 2).tolist() == [4, 0]


def test_how_many_can_grow():
    # 2 rows and 3 columns, two slots in each: column 0 is full, of column 1
    # one group is active, and it is pruned.
    room = Room(num_slots=2, num_bins=3)
    active, pruned = np.array([0, 1, 3]), np.array([1])
    assert room.num_to_grow(active, pruned, 6).tolist() == [0, 1, 2]
    assert Room(4).num_to_grow(active, pruned, 6).tolist() == [2]


def test_what_needs_room_elsewhere():
    # Slots 1 empty, 2 free groups: one of three pruned frees a slot that
    # the kernel can fill, the others (of the largest scores) do not.
    room, active = Room(num_slots=5), np.array([0, 1, 2, 3])
    pruned = np.array([True, True, False, True])
    scores = np.array([0.3, 0.1, 0.0, 0.2])
    found = room.without_slot(pruned, active, scores, 6)
    assert found.tolist() == [True, False, False, True]
    assert not room.without_slot(pruned, active, scores, 9).any()


def test_what_needs_room_in_other_bins():
    # Of 3 rows, two are active in column 0, three in column 1, which has no
    # free group to grow in place of any.
    room = Room(num_slots=3, num_bins=2)
    active = np.array([0, 1, 2, 3, 5])
    scores = np.array([0.2, 0.3, 0.1, 0.2, 0.1])
    found = room.without_slot(np.ones(5, "bool"), active, scores, 6)
    # (In column 0 there is an empty slot for the free group already.)
    assert found.all()
    found = Room(2, 2).without_slot(np.ones(4, "bool"), active[:4], scores, 6)
    assert found.tolist() == [True, True, False, False]


def test_a_mask_without_room():
    room = Room(num_slots=1, num_bins=2)
    room.check(np.array([0, 3]))
    with pytest.raises(ValueError, match="as many slots.*mask with 2 in one"):
        room.check(np.array([0, 2]))


def test_too_few_slots_for_a_random_mask():
    grouping = Grouping((8, 8), (2, 2)).with_room(1)
    with pytest.raises(ValueError, match="at least 2 for 5 active groups"):
        grouping.random_mask(5, draws.generator(0))


@given(
    st.integers(1, 6), st.integers(1, 6), st.integers(1, 6), st.integers(0, 99)
)
def test_masks_with_room(rows, columns, num_slots, seed):
    num_slots = min(num_slots, rows)
    grouping = Grouping((rows * 2, columns * 2), (2, 2)).with_room(num_slots)
    generator = draws.generator(seed)
    number = int(generator.integers(1, num_slots * columns + 1))
    scores = generator.random(rows * columns).astype("float32")
    for mask in (
        grouping.random_mask(number, generator),
        grouping.largest_mask(scores, number),
    ):
        assert mask.sum() == number
        assert mask.sum(axis=0).max() <= num_slots
        grouping.check_mask(mask)


def test_rooms_of_rows():
    grouping = Grouping((3, 4), (1, 1)).with_room(2, by_rows=True)
    room = grouping.room
    assert room.bins(np.array([0, 3, 4, 11])).tolist() == [0, 0, 1, 2]
    # Row 0 is full, row 1 empty; row 2 has one, which is pruned.
    active, pruned = np.array([0, 3, 9]), np.array([9])
    assert room.num_to_grow(active, pruned, 12).tolist() == [0, 2, 2]
    scores = np.arange(12.0, dtype="float32")
    mask = grouping.largest_mask(scores, 5)
    columns = [np.flatnonzero(row).tolist() for row in mask]
    assert columns == [[3], [2, 3], [2, 3]]
    with pytest.raises(ValueError, match="A row may have 2 active.*with 3 in"):
        room.check(np.array([4, 5, 7]))


@given(
    st.integers(2, 6),
    st.integers(2, 6),
    st.integers(1, 6),
    st.integers(0, 99),
)
def test_random_rows_have_equal_numbers(rows, columns, num_slots, seed):
    num_slots = min(num_slots, columns)
    grouping = Grouping((rows, columns), (1, 1)).with_room(num_slots, True)
    generator = draws.generator(seed)
    number = int(generator.integers(1, num_slots * rows + 1))
    mask = grouping.random_mask(number, generator)
    counts = mask.sum(axis=1)
    assert mask.sum() == number and np.ptp(counts) <= 1
    grouping.check_mask(mask)


def test_every_set_is_drawn_as_often():
    """Two of four, in each of 6,000 bins; beside others of other sizes."""
    counts = np.tile([2, 0, 1], 6_000)
    sizes = np.tile([4, 3, 1], 6_000)
    bins, drawn = draw_in_bins(counts, sizes, draws.generator(0))
    np.testing.assert_array_equal(bins, np.repeat(np.arange(18_000), counts))
    assert not drawn[bins % 3 == 2].any()
    pairs = drawn[bins % 3 == 0].reshape(-1, 2).tolist()
    found = [pairs.count(list(p)) for p in itertools.combinations(range(4), 2)]
    assert sum(found) == 6_000
    # 1,000 each, with a deviation of 29.
    assert max(abs(n - 1_000) for n in found) < 100
    bins, drawn = draw_in_bins(counts * 0, sizes, draws.generator(0))
    assert not len(bins) and not len(drawn)


def test_the_largest_with_room():
    grouping = Grouping((4, 4), (2, 2)).with_room(1)
    mask = grouping.largest_mask(np.array([3.0, 1, 4, 2], "float32"), 2)
    assert mask.tolist() == [[False, False], [True, True]]


@pytest.mark.parametrize(
    ("shape", "block"),
    [
        ((784, 2048), (28, 32)),
        ((2048, 10), (32, 10)),
        ((96, 33), (32, 33)),
        ((31, 64), (31, 32)),
    ],
)
def test_blocks_up_to_a_length(shape, block):
    if block[1] == 33:
        with pytest.raises(ValueError, match="from 16 to 32 divides"):
            get("block:32").grouping(shape)
        return
    assert get("block:32").grouping(shape).block_shape == block
