import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsr_tf.core import distribution
from dsr_tf.core.budget import Budget


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
    assert distribution.num_active_groups(size, sparsity) == count


@pytest.mark.parametrize("sparsity", [-0.1, 1, 1.5, "0.9", None, True])
def test_sparsity_out_of_range(sparsity):
    with pytest.raises(ValueError, match=r"\[0, 1\).*Received: sparsity="):
        distribution.check_sparsity(sparsity)


LENET = [(784, 300), (300, 100), (100, 10)]


def share_out(identifier, shapes, sparsity, group_sizes=None):
    names = [f"k{i}" for i in range(len(shapes))]
    sizes = group_sizes or [1] * len(shapes)
    if sparsity is not None:
        total = sum(math.prod(shape) for shape in shapes)
        num_weights = distribution.num_active_groups(total, sparsity)
        sparsity = Budget(num_weights, f"sparsity={sparsity}")
    return distribution.Distribution(identifier)(names, shapes, sizes, sparsity)


def test_uniform_lenet():
    assert share_out("uniform", LENET, 0.99) == [2352, 300, 10]


def test_er_by_hand():
    """Shares 1084 : 400 : 110 of 2662: 1810.3, 668.0, 183.7."""
    assert share_out("er", LENET, 0.99) == [1810, 668, 184]
    assert share_out("erk", LENET, 0.99) == [1810, 668, 184]


def test_er_and_erk_differ_by_the_window():
    shapes = [(3, 3, 4, 8), (1, 1, 8, 16)]
    # Budget 208; ER: 9 * 12 to 24, ERK: 18 to 26, where the second kernel's
    # 123 of 128 and the first's 85 fit.
    assert share_out("er", shapes, 0.5) == [170, 38]
    assert share_out("erk", shapes, 0.5) == [85, 123]


def test_a_kernel_that_would_be_more_than_dense_is_dense():
    shapes = [(1, 1, 4, 4), (3, 3, 64, 64)]
    counts = share_out("erk", shapes, 0.5)
    assert counts == [16, (16 + 36864) // 2 - 16]


def test_erk_of_resnet_50_meets_the_budget():
    """All 54 kernels, as in the table of densities of the RigL paper."""
    shapes = [(7, 7, 3, 64), (2048, 1000)]
    width_in = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        shapes.append((1, 1, width_in, 4 * width))
        for _ in range(blocks):
            shapes.append((1, 1, width_in, width))
            shapes.append((3, 3, width, width))
            shapes.append((1, 1, width, 4 * width))
            width_in = 4 * width
    assert len(shapes) == 54
    total = sum(math.prod(shape) for shape in shapes)
    assert total == 25502912
    counts = share_out("erk", shapes, 0.9)
    assert sum(counts) == round(0.1 * total)
    densities = [n / math.prod(shape) for n, shape in zip(counts, shapes)]
    assert max(densities) <= 1
    assert densities[1] < 0.1 < densities[0]


def test_the_others_share_what_is_left():
    counts = share_out({"k0": 0}, [(2, 3), (4, 5), (10, 10)], 0.5)
    assert counts == [6, 10, 47]  # of 57: 9.5 and 47.5, a tie


@pytest.mark.parametrize(
    "given",
    [{"k0": 0, "k2": 0.9, "rest": 0.5}, {"rest": 0.5, "k0": 0, "k2": 0.9}],
)
def test_the_rest_by_name(given):
    shapes = [(2, 3), (4, 5), (10, 10), (5, 5)]
    # Each by itself: 12.5 goes to the even number.
    assert share_out(given, shapes, None) == [6, 10, 10, 12]
    assert distribution.Distribution(given).is_complete
    # A regular expression that is found in paths with that word.
    assert not distribution.Distribution({"(rest)": 0.5}).is_complete
    assert share_out({"rest": 0.99}, [(2, 3), (300,)], None) == [1, 3]


@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=9),
    st.floats(0, 0.999),
    st.floats(0, 0.999),
)
def test_naming_the_rest_spares_the_sum(sizes, first, rest):
    counts = share_out({"k0": first, "rest": rest}, [(n,) for n in sizes], None)
    expected = [first, *[rest] * (len(sizes) - 1)]
    assert counts == [
        distribution.num_active_groups(n, s) for n, s in zip(sizes, expected)
    ]
    # The same by a sum that somebody has made.
    budget = Budget(sum(counts), "parameters=1")
    names = {f"^k{i}$": s for i, s in enumerate(expected)}
    by_name = distribution.Distribution(names)
    paths = [f"k{i}" for i in range(len(sizes))]
    shapes, ones = [(n,) for n in sizes], [1] * len(sizes)
    assert by_name(paths, shapes, ones, budget) == counts


def test_flags_have_no_sparsity_for_the_rest():
    assert distribution.parse("fc:0.5,b:0.9") == {"fc": 0.5, "b": 0.9}
    with pytest.raises(ValueError, match="for the 'rest' here: `sparsity`"):
        distribution.parse("fc:0.5,rest:0.9")


@pytest.mark.parametrize(
    "given, sparsity, left",
    [({"k0": 0.0}, 0.9, -7), ({"k": 0.5}, 0.9, -12), ({"k0": 0.99}, 0.1, 26)],
)
def test_sparsities_by_name_that_cannot_hold(given, sparsity, left):
    with pytest.raises(ValueError, match=f"leave {left} active weights"):
        share_out(given, [(5, 2), (5, 4)], sparsity)


def test_an_expression_that_is_found_nowhere_is_refused():
    share_out = distribution.Distribution({"fc": 0.5, "fd": 0.9})
    with pytest.raises(ValueError, match="for 'fd'.* parts of fc1, fc2"):
        share_out(["fc1", "fc2"], [(4, 4), (4, 4)], [1, 1], Budget(16, ""))
    with pytest.raises(ValueError, match="distribution={'fc': 50}"):
        distribution.Distribution({"fc": 50})


def test_every_kernel_gets_a_group():
    counts = share_out("uniform", [(1000,), (3,), (3,)], 0.99)
    assert counts == [8, 1, 1]


def test_a_budget_below_one_group_a_kernel_is_refused():
    with pytest.raises(ValueError, match="cannot give each of 3 kernels"):
        share_out("uniform", [(10,)] * 3, 0.95)


@given(
    st.sampled_from(["uniform", "er", "erk"]),
    st.lists(
        st.tuples(
            st.sampled_from([(), (1, 1), (3, 3), (5,)]),
            st.integers(1, 500),
            st.integers(1, 500),
        ),
        min_size=1,
        max_size=20,
    ),
    st.floats(0, 0.999),
)
def test_the_budget_is_met(identifier, kernels, sparsity):
    shapes = [(*window, i, o) for window, i, o in kernels]
    sizes = [math.prod(shape) for shape in shapes]
    budget = distribution.num_active_groups(sum(sizes), sparsity)
    if budget < len(shapes):
        return
    counts = share_out(identifier, shapes, sparsity)
    assert sum(counts) == budget
    assert all(1 <= n <= size for n, size in zip(counts, sizes))


@pytest.mark.parametrize(
    "identifier", ["equal", {}, None, {"(": 0.5}, {"a": 1}, {"rest": 1}, "rest"]
)
def test_unknown_distributions(identifier):
    with pytest.raises(ValueError, match="`distribution`"):
        distribution.Distribution(identifier)


@pytest.mark.parametrize(
    "shapes, group_sizes, sparsity, expected",
    [
        # 13 of 320: a group of 10 and one of 3, no more and no less.
        ([(2, 10), (3, 100)], [10, 3], 1 - 13 / 320, [1, 1]),
        # 1,597 of LeNet-300-100, whole units: 784 + 300 + 100, and what is
        # left to those that are small enough and furthest behind.
        (
            [(784, 300), (300, 100), (100, 10)],
            [784, 300, 100],
            0.994,
            [1, 2, 2],
        ),
    ],
)
def test_groups_that_differ_in_size(shapes, group_sizes, sparsity, expected):
    assert share_out("uniform", shapes, sparsity, group_sizes) == expected


@given(
    st.sampled_from(["uniform", "er", "erk"]),
    st.lists(
        st.tuples(st.integers(1, 9), st.integers(1, 40)),
        min_size=1,
        max_size=12,
    ),
    st.floats(0, 0.999),
)
def test_groups_miss_the_budget_by_less_than_the_largest(
    identifier, kernels, sparsity
):
    shapes = [(size, number) for size, number in kernels]
    group_sizes = [size for size, _ in kernels]
    budget = distribution.num_active_groups(
        sum(size * number for size, number in kernels), sparsity
    )
    if budget < sum(group_sizes):
        return
    counts = share_out(identifier, shapes, sparsity, group_sizes)
    active = sum(c * size for c, size in zip(counts, group_sizes))
    assert 0 <= budget - active < max(group_sizes)
    for count, (_, number) in zip(counts, kernels):
        assert 1 <= count <= number
    # What is left over is not enough for a group of anyone with room.
    room = [s for c, (s, n) in zip(counts, kernels) if c < n]
    assert not room or budget - active < min(room)


def test_wrn_by_channels_meets_its_budget():
    """24 kernels with groups of 144 to 1,152 weights."""
    import dsr_tf

    model = dsr_tf.models.wrn_28_2()
    kept = dsr_tf.models.PAPER_DENSE["wrn_28_2"]
    sparse = dsr_tf.sparsify(
        model,
        0.978,
        filters=lambda x: not any(re.search(p, x.name) for p in kept),
        granularity="channel",
        seed=0,
    )
    summary = dsr_tf.sparsity_summary(sparse)
    asked = distribution.num_active_groups(summary.num_masked, 0.978)
    assert 0 <= asked - summary.num_active < 288
