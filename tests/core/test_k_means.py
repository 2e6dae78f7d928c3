import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsr_tf.core import draws
from dsr_tf.core.k_means import k_means

NUMBERS = st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=40).map(
    lambda numbers: np.array(numbers, "float32")
)


def test_by_hand():
    """From 0, 5 and 10: 3 joins 5, the middle moves to 4, and 2.0 joins it."""
    values = np.array([10.0, 0.0, 2.0, 3.0, 5.0, 9.0])
    found = k_means(values, 3)
    # 0, 5, 10 -> 2 is nearer to 0, 3 to 5 -> 1, 4, 9.5 -> the same again.
    np.testing.assert_array_equal(found.centroids, [1.0, 4.0, 9.5])
    np.testing.assert_array_equal(found.members, [2, 0, 0, 1, 1, 2])
    assert found.error == 1 + 1 + 1 + 1 + 0.25 + 0.25


def test_halfway_is_the_lower_one_and_empty_ones_stay():
    # From 0, 4, 8 and 12; 2 is as near to 0 as to 4, and nothing is near 4.
    found = k_means(np.array([0.0, 1.0, 2.0, 7.0, 8.0, 12.0]), 4)
    np.testing.assert_array_equal(found.centroids, [1.0, 4.0, 7.5, 12.0])
    np.testing.assert_array_equal(found.members, [0, 0, 0, 2, 2, 3])


def test_starts():
    """Nine numbers of two sizes: what a start leaves alone stays there."""
    values = np.concatenate([np.linspace(0, 1, 8), [100.0]])
    linear = k_means(values, 3)
    np.testing.assert_allclose(linear.centroids, [0.5, 50, 100])
    quantile = k_means(values, 3, "quantile")
    assert quantile.error < linear.error
    best = k_means(values, 3, "best", draws.generator(1))
    random = k_means(values, 3, "random", draws.generator(1))
    assert best.error == min(linear.error, quantile.error, random.error)
    again = k_means(values, 3, "random", draws.generator(1))
    np.testing.assert_array_equal(random.centroids, again.centroids)
    with pytest.raises(ValueError, match="linear, quantile, .* Received: st"):
        k_means(values, 3, "forgy")


@pytest.mark.parametrize("values", [[], [2.5], [2.5, 2.5, -1.0, 2.5]])
def test_few_numbers_are_their_own_centroids(values):
    found = k_means(np.array(values, "float32"), 4)
    np.testing.assert_array_equal(found.centroids[found.members], values)
    assert found.error == 0 and found.centroids.shape == (4,)


@given(NUMBERS, st.integers(1, 9), st.sampled_from(["linear", "quantile"]))
def test_what_always_holds(values, number, start):
    """Each number has its nearest centroid, which is the mean of its own."""
    found = k_means(values, number, start)
    centroids = found.centroids.astype("float64")
    assert (np.diff(centroids) >= 0).all()
    distance = np.abs(values[:, None] - centroids)
    nearest = distance.min(axis=1)
    own = distance[np.arange(len(values)), found.members]
    np.testing.assert_array_equal(own, nearest)
    for place in set(found.members):
        mean = values[found.members == place].astype("float64").mean()
        # Centroids are float32; numbers next to a border may belong to both.
        np.testing.assert_allclose(centroids[place], mean, 1e-5, 1e-4)
    assert found.error == pytest.approx(np.square(own).sum())
    # One step from where it starts does not make it worse.
    if start == "linear" and len(np.unique(values)) > number:
        first = np.linspace(values.min(), values.max(), number)
        before = np.abs(values[:, None] - first).min(axis=1)
        assert found.error <= np.square(before).sum() * (1 + 1e-5) + 1e-6
