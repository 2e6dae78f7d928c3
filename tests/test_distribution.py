import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsr_tf import distribution


@pytest.mark.parametrize(
    "size, sparsity, count",
    [
        (266200, 0.99, 2662),
        (235200, 0.98, 4704),
        (1000, 0.9, 100),  # 1 - 0.9 is a hair below 0.1
        (35, 0.5, 18),  # 17.5: the even neighbour
        (45, 0.5, 22),  # 22.5: the even neighbour
        (10, 0.0, 10),
        (10, 0.999, 1),  # at least one
    ],
)
def test_num_active_is_rounded(size, sparsity, count):
    assert distribution.num_active(size, sparsity) == count


@pytest.mark.parametrize("sparsity", [-0.1, 1, 1.5, "0.9", None, True])
def test_sparsity_out_of_range(sparsity):
    with pytest.raises(ValueError, match=r"\[0, 1\).*Received: sparsity="):
        distribution.check_sparsity(sparsity)


def test_uniform_lenet():
    sizes = [235200, 30000, 1000]
    assert distribution.uniform(sizes, [1] * 3, 0.99) == [2352, 300, 10]


def test_uniform_gives_every_kernel_a_group():
    counts = distribution.uniform([1000, 3, 3], [1, 1, 1], 0.99)
    assert counts == [8, 1, 1]


def test_a_budget_below_one_group_a_kernel_is_refused():
    with pytest.raises(ValueError, match="cannot give each of 3 kernels"):
        distribution.uniform([10, 10, 10], [1, 1, 1], 0.95)


@given(
    st.lists(st.integers(1, 10**6), min_size=1, max_size=20),
    st.floats(0, 0.999),
)
def test_uniform_meets_the_budget(sizes, sparsity):
    budget = distribution.num_active(sum(sizes), sparsity)
    if budget < len(sizes):
        return
    counts = distribution.uniform(sizes, [1] * len(sizes), sparsity)
    assert sum(counts) == budget
    assert all(1 <= n <= size for n, size in zip(counts, sizes))


def test_unknown_distribution():
    with pytest.raises(ValueError, match="uniform.*Received: distribution='e"):
        distribution.get("equal")
