import math
import tracemalloc

import keras
import numpy as np
import pytest

from dsr_tf.core import draws


def test_a_draw_depends_on_seed_count_and_stream_only():
    def draw(*key):
        return draws.generator(*key).integers(2**60)

    assert draw(1, 2, 3) == draw(1, 2, 3)
    keys = [(s, c, t) for s in (0, 1) for c in (0, 1, 2) for t in (0, 1, 2)]
    assert len({draw(*key) for key in keys}) == len(keys)


def test_known_values():
    """A change of these breaks the resuming of runs of older versions."""
    drawn = draws.generator(7, 3, 2).choice(100, 5, replace=False)
    np.testing.assert_array_equal(drawn, DRAWN)


DRAWN = [40, 54, 32, 1, 6]


@pytest.mark.parametrize(
    ("population", "number"),
    [(100, 30), (10_000, 0), (draws.MANY, draws.MANY // 8)]
    + [(draws.MANY + 1, 1_000), (draws.MANY + 1, draws.MANY - 1)],
)
def test_distinct_numbers_are_those_that_numpy_chooses(population, number):
    """So masks, and the resuming of runs, stay what they were."""
    expected = draws.generator(0).choice(
        population, number, replace=False, shuffle=False
    )
    drawn = draws.distinct(draws.generator(0), population, number)
    np.testing.assert_array_equal(drawn, expected)


def test_many_distinct_numbers_without_a_list_of_all(monkeypatch):
    tracemalloc.start()
    drawn = draws.distinct(draws.generator(1), 2**40, 50_000)
    draws.distinct(draws.generator(1), 2**24, 2**20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(np.unique(drawn)) == 50_000
    assert peak < 2**20 * 8 * 7 < 2**24 * 8
    # Every pair of five is as likely as any other, and every triple.
    monkeypatch.setattr(draws, "MANY", 1)
    generator = draws.generator(2)
    for size, number in ((5, 2), (7, 3)):
        sets = np.sort(
            [draws.distinct(generator, size, number) for _ in range(3_000)]
        )
        assert sets.min() == 0 and sets.max() == size - 1
        assert (np.diff(sets) > 0).all()
        found = np.unique(sets, axis=0, return_counts=True)[1]
        wanted = 3_000 / math.comb(size, number)
        assert len(found) == math.comb(size, number)
        # A chi-squared distribution's mean, and six deviations more.
        freedom = len(found) - 1
        excess = ((found - wanted) ** 2 / wanted).sum()
        assert excess < freedom + 6 * (2 * freedom) ** 0.5


def test_fresh_seeds_follow_keras():
    keras.utils.set_random_seed(3)
    first = draws.check_seed(None), draws.check_seed(None)
    keras.utils.set_random_seed(3)
    assert first == (draws.check_seed(None), draws.check_seed(None))
    assert first[0] != first[1]


@pytest.mark.parametrize("seed", [-1, 2**31 - 1, 0.5, "1", True])
def test_refused_seeds(seed):
    with pytest.raises(ValueError, match="`seed` must be None or an integer"):
        draws.check_seed(seed)
