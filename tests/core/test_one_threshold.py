import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsr_tf.core.one_threshold import largest_groups


def chosen(scores, group_sizes, budget):
    scores = [np.array(kernel, "float32") for kernel in scores]
    masks = largest_groups(scores, group_sizes, budget)
    return [np.flatnonzero(mask).tolist() for mask in masks]


@pytest.mark.parametrize(
    "scores, group_sizes, budget, expected",
    [
        # The largest three, wherever they are.
        ([[5, 1, 4], [3, 2]], [1, 1], 3, [[0, 2], [0]]),
        # Each kernel keeps its largest.
        ([[9, 8, 7], [1, 2]], [1, 1], 3, [[0, 1], [1]]),
        # Ties: the first.
        ([[1, 1, 1], [1, 1, 1]], [1, 1], 4, [[0, 1, 2], [0]]),
        ([[0, 0], [0, 0]], [1, 1], 3, [[0, 1], [0]]),
        # All of it, and more than that.
        ([[0, 2], [1]], [1, 1], 3, [[0, 1], [0]]),
        ([[0, 2], [1]], [3, 1], 99, [[0, 1], [0]]),
        # 8 - 4 leaves 4: of 9, 8 and 7 in threes one fits, then a single.
        ([[9, 8, 7, 6], [1, 2, 3]], [3, 1], 8, [[0, 1], [1, 2]]),
        # Of equals the large one does not fit, the small ones do.
        ([[5, 4], [5, 4, 4, 4]], [3, 1], 6, [[0], [0, 1, 2]]),
    ],
)
def test_by_hand(scores, group_sizes, budget, expected):
    assert chosen(scores, group_sizes, budget) == expected


def one_by_one(scores, group_sizes, budget):
    """What the docstring says, word for word."""
    taken = {(k, int(np.argmax(kernel))) for k, kernel in enumerate(scores)}
    left = budget - sum(group_sizes)
    everyone = [(k, i) for k, s in enumerate(scores) for i in range(len(s))]
    for k, i in sorted(everyone, key=lambda group: -scores[group[0]][group[1]]):
        if (k, i) not in taken and group_sizes[k] <= left:
            taken.add((k, i))
            left -= group_sizes[k]
    return [
        [i for i in range(len(s)) if (k, i) in taken]
        for k, s in enumerate(scores)
    ]


SCORES = st.integers(0, 4) | st.floats(0, 2.0**127, width=32)


@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.lists(SCORES, min_size=1, max_size=9)),
        min_size=1,
        max_size=5,
    ),
    st.integers(0, 60),
)
def test_it_is_what_choosing_one_by_one_gives(kernels, more):
    group_sizes = [size for size, _ in kernels]
    scores = [kernel for _, kernel in kernels]
    budget = sum(group_sizes) + more
    found = chosen(scores, group_sizes, budget)
    assert found == one_by_one(scores, group_sizes, budget)
    weights = sum(len(f) * size for f, size in zip(found, group_sizes))
    everything = sum(len(s) * size for s, size in zip(scores, group_sizes))
    missing = min(budget, everything) - weights
    assert 0 <= missing < max(group_sizes)
    if len(set(group_sizes)) == 1:
        assert missing == more % group_sizes[0] or weights == everything


def test_many_weights_take_little_memory_and_time():
    import tracemalloc

    generator = np.random.default_rng(0)
    scores = [generator.random(2**20, "float32") for _ in range(4)]
    tracemalloc.start()
    start = time.perf_counter()
    masks = largest_groups(scores, [1] * 4, 400_000)
    seconds = time.perf_counter() - start
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(np.count_nonzero(mask) for mask in masks) == 400_000
    # The scores themselves take 16 MiB; masks 4.
    assert peak < 10 * 2**20
    assert seconds < 10
