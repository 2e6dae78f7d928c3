import pytest

from dsr_tf.models.width import find_width
from dsr_tf.models.width import scaled


def test_scaled():
    assert [scaled(300, w) for w in (1, 0.5, 0.01, 1e-9)] == [300, 150, 3, 1]


@pytest.mark.parametrize("budget", [10, 999, 1000, 1001, 25_000])
def test_the_largest_width_within_the_budget(budget):
    def count(width):
        return scaled(100, width) * 10

    width = find_width(count, budget)
    assert count(width) <= budget < count(width + 0.011)


def test_a_budget_below_the_thinnest():
    with pytest.raises(ValueError, match="thinnest network, 10"):
        find_width(lambda width: scaled(100, width) * 10, 9)


def test_a_budget_that_no_width_reaches():
    """The search ends where a network does not grow."""
    with pytest.raises(ValueError, match="must be at most the parameters"):
        find_width(lambda width: 10, 1000)
