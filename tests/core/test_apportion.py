import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsr_tf.core.apportion import apportion


def test_proportions_that_divide():
    assert apportion(12, [1, 2, 3], [100] * 3) == [2, 4, 6]


def test_largest_remainders_take_the_rest():
    # Ideal 1.43, 2.86, 5.71: floors 1, 2, 5; the rest of 2 goes to the
    # remainders .86 and .71.
    assert apportion(10, [1, 2, 4], [100] * 3) == [1, 3, 6]


def test_a_tie_goes_to_the_first():
    assert apportion(3, [1, 1], [9, 9]) == [2, 1]


def test_overflow_of_a_full_kernel_goes_to_the_others_in_proportion():
    # Ideal 8, 2, 2; the first has room for 2, so 10 are left for two.
    assert apportion(12, [4, 1, 1], [2, 9, 9]) == [2, 5, 5]


def test_groups_of_different_sizes_never_exceed_the_total():
    # 20 weights over groups of 9 and 1: ideal 10 and 10, so one group of 9
    # and ten of 1; the weight left over goes where it fits.
    assert apportion(20, [1, 1], [9, 99], [9, 1]) == [1, 11]


def test_what_no_group_fits_is_left_over():
    assert apportion(20, [1], [9], [9]) == [2]


def test_without_shares_capacities_decide():
    assert apportion(6, [0, 0], [2, 10]) == [1, 5]


def test_all_room_is_used_when_asked_for():
    assert apportion(50, [5, 1], [3, 4]) == [3, 4]


@pytest.mark.parametrize(
    "arguments", [(-1, [1], [1]), (1, [-1], [1]), (1, [1], [-1])]
)
def test_negative_numbers_are_refused(arguments):
    with pytest.raises(ValueError, match="must not be negative"):
        apportion(*arguments)


kernels = st.lists(
    st.tuples(
        st.integers(0, 10**7),
        st.integers(0, 10**7),
        st.sampled_from([1, 1, 4, 9]),
    ),
    min_size=1,
    max_size=12,
)


@given(st.integers(0, 10**8), kernels)
def test_exact_within_capacity(total, kernels):
    shares, capacities, sizes = map(list, zip(*kernels))
    counts = apportion(total, shares, capacities, sizes)
    assert all(0 <= n <= c for n, c in zip(counts, capacities))
    given_out = sum(n * s for n, s in zip(counts, sizes))
    room = sum(c * s for c, s in zip(capacities, sizes))
    assert given_out <= total
    left = min(total, room) - given_out
    # What is left fits into no group that still has room.
    assert left == 0 or all(
        left < s for n, c, s in zip(counts, capacities, sizes) if n < c
    )
    if set(sizes) == {1}:
        assert given_out == min(total, room)


@given(st.integers(0, 10**6), st.lists(st.integers(1, 10**6), min_size=1))
def test_within_one_of_the_ideal_where_there_is_room(total, shares):
    counts = apportion(total, shares, [total] * len(shares))
    for share, count in zip(shares, counts):
        assert abs(count - total * share / sum(shares)) < 1 + 1e-6
