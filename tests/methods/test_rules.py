import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dsr_tf.methods import grow
from dsr_tf.methods import prune
from dsr_tf.methods import redistribute


def test_below_is_strict():
    pruned = prune.below(np.array([0.0, 0.5, 0.1, 0.7]), 0.5)
    assert pruned.tolist() == [True, False, True, False]


def test_smallest_takes_exactly_so_many():
    scores = np.array([0.3, 0.1, 0.1, 0.9, 0.2])
    assert prune.smallest(scores, 3).tolist() == [0, 1, 1, 0, 1]
    assert prune.smallest(np.zeros(5), 2).sum() == 2
    assert not prune.smallest(scores, 0).any()
    assert prune.smallest(scores, 5).all()


def test_the_largest_group_is_the_last_to_stay():
    scores = np.array([0.2, 0.4, 0.3])
    kept = prune.keep_last_group(np.ones(3, bool), scores)
    assert kept.tolist() == [True, False, True]
    some = np.array([True, True, False])
    assert prune.keep_last_group(some, scores).tolist() == some.tolist()


def test_no_more_is_pruned_than_can_be_grown():
    pruned = [np.array([True, True, False]), np.array([True, False])]
    scores = [np.array([0.1, 0.3, 0.9]), np.array([0.2, 0.8])]
    limited = prune.limit_weights(pruned, scores, [1, 1], 2)
    assert [p.tolist() for p in limited] == [
        [True, False, False],
        [True, False],
    ]
    # With groups of four weights in the second kernel, 3 weights fit only
    # into groups of the first.
    limited = prune.limit_weights(pruned, scores, [1, 4], 3)
    assert [p.tolist() for p in limited] == [
        [True, False, False],
        [False, False],
    ]
    assert prune.limit_weights(pruned, scores, [1, 1], 3) is pruned


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 3), min_size=1, max_size=6),
            st.integers(1, 4),
        ),
        min_size=1,
        max_size=4,
    ),
    st.integers(0, 30),
)
def test_what_goes_are_the_first_in_order_that_fit(kernels, limit):
    """Also of equal scores, and of groups of different size."""
    scores, sizes = zip(*kernels)
    scores = [np.array(s, "float32") for s in scores]
    chosen = prune.smallest_of_all(scores, sizes, 0.8)
    limited = prune.limit_weights(chosen, scores, sizes, limit)
    expected = [np.zeros_like(c) for c in chosen]
    for _, kernel, index in sorted(
        (scores[k][i], k, i)
        for k, c in enumerate(chosen)
        for i in np.flatnonzero(c)
    ):
        limit -= sizes[kernel]
        if limit < 0:
            break
        expected[kernel][index] = True
    assert list(map(list, limited)) == list(map(list, expected))


def test_growth_follows_the_survivors():
    counts = redistribute.to_survivors(10, [30, 60, 10], [99] * 3, [1] * 3)
    assert counts == [3, 6, 1]


def test_growth_where_pruned():
    counts = redistribute.where_pruned(5, [2, 0, 3], [99, 99, 1], [1] * 3)
    assert counts == [4, 0, 1]


def test_random_growth_is_uniform():
    generator = np.random.default_rng(0)
    counts = np.zeros(8)
    for _ in range(4000):
        chosen = grow.at_random(8, 3, generator)
        assert len(set(chosen.tolist())) == 3
        counts[chosen] += 1
    # Expected 1500 each, standard deviation 31.
    assert abs(counts - 1500).max() < 150


def test_the_smallest_of_all_kernels():
    scores = [np.array([0.1, 0.5, 0.3]), np.array([0.2, 0.9])]
    pruned = prune.smallest_of_all(scores, [1, 1], 0.6)
    assert [p.tolist() for p in pruned] == [[1, 0, 1], [1, 0]]
    # Of 11 weights 5: a group of four and one of one; no second of four.
    pruned = prune.smallest_of_all(scores, [1, 4], 0.45)
    assert [p.tolist() for p in pruned] == [[1, 0, 0], [1, 0]]
    assert not any(p.any() for p in prune.smallest_of_all(scores, [1, 1], 0.0))


def test_lamp_scores():
    scores = np.array([2, 1, 2, 0], "float32")
    assert prune.lamp_scores(scores, 1).tolist() == [0.5, 1 / 9, 1, 0]
    assert prune.lamp_scores(scores, 2).tolist() == [0.25, 1 / 18, 0.5, 0]
    assert prune.lamp_scores(np.zeros(2, "float32"), 1).tolist() == [0, 0]
    assert not len(prune.lamp_scores(np.zeros(0, "float32"), 1))
    # One weight of its kernel is all of it, however small.
    alone, many = np.array([1e-20]), np.linspace(1, 2, 9)
    found = [prune.lamp_scores(s, 1) for s in (alone, many)]
    gone = prune.smallest_of_all(found, [1, 1], 0.8)
    assert [g.tolist() for g in gone] == [[False], [True] * 8 + [False]]


@given(st.lists(st.floats(0, 1e3, width=32), min_size=1), st.integers(-20, 20))
def test_lamp_scores_do_not_depend_on_scale(numbers, exponent):
    scores = np.array(numbers, "float64")
    found = prune.lamp_scores(scores, 1)
    same = prune.lamp_scores(scores * 2.0**exponent, 1)
    np.testing.assert_allclose(found, same, rtol=1e-12)
    order = np.argsort(scores, kind="stable")
    assert (np.diff(found[order]) >= 0).all() and found.max() <= 1


def test_the_smallest_of_all_are_as_many_beside_the_last_of_a_kernel():
    """The largest of a kernel would stay all the same: others go for it."""
    scores = [np.array([0.1]), np.array([0.8, 0.6, 0.7]), np.array([0.2, 0.3])]
    pruned = prune.smallest_of_all(scores, [1, 1, 1], 0.5)
    assert [p.tolist() for p in pruned] == [[0], [0, 1, 1], [1, 0]]
    pruned = prune.smallest_of_all(scores, [1, 1, 1], 0.99)
    assert [p.tolist() for p in pruned] == [[0], [0, 1, 1], [1, 0]]


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 5), min_size=1, max_size=12),
            st.integers(1, 4),
            st.integers(0, 12),
        ),
        min_size=1,
        max_size=4,
    ),
    st.floats(0, 1),
)
def test_the_smallest_of_all_go_in_the_order_of_a_sort(kernels, fraction):
    """Ties in that of the kernels, and none after one that does not fit."""
    scores = [np.array(values, "float32") for values, _, _ in kernels]
    sizes, most = ([k[i] for k in kernels] for i in (1, 2))
    pruned = prune.smallest_of_all(scores, sizes, fraction, most)
    can_go = [
        prune.smallest(s, min(n, len(s) - 1)) for s, n in zip(scores, most)
    ]
    places = [(k, i) for k, go in enumerate(can_go) for i in np.flatnonzero(go)]
    places.sort(key=lambda place: scores[place[0]][place[1]])
    left = round(fraction * sum(map(lambda s, n: len(s) * n, scores, sizes)))
    expected = [np.zeros(len(s), bool) for s in scores]
    for k, i in places:
        left -= sizes[k]
        if left < 0:
            break
        expected[k][i] = True
    assert [p.tolist() for p in pruned] == [e.tolist() for e in expected]
