"""Which units stay: small cases by hand, and what holds for all budgets."""

import dataclasses

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import given
from hypothesis import strategies as st

from dsr_tf.structure.choice import choose


@dataclasses.dataclass(frozen=True)
class Cost:
    parameters: int
    macs: int


def chain(keep):
    """A network of dense layers between the sets: 3 inputs, 2 outputs."""
    widths = [3, *(int(own.sum()) for own in keep.values()), 2]
    parameters = sum(a * b for a, b in zip(widths, widths[1:]))
    return Cost(parameters, 7 * widths[1] + sum(widths))


def chosen(mask):
    return np.flatnonzero(mask).tolist()


def test_a_share_keeps_the_largest():
    assert chosen(choose.share([3.0, 1.0, 2.0, 5.0, 4.0], 0.5)) == [3, 4]


def test_a_share_keeps_one():
    assert chosen(choose.share([3.0, 4.0], 0.9)) == [1]


@pytest.mark.parametrize(
    "size, ratio, kept",
    # What `int(C * (1 - ratio))` says, where floating point says one less
    # in the last two.
    [(64, 0.1, 57), (32, 0.3, 22), (16, 0.6, 6), (500, 0.8, 100), (10, 0.9, 1)],
)
def test_the_number_of_a_share(size, ratio, kept):
    assert choose.share(np.arange(size), ratio).sum() == kept


def test_equal_scores_go_to_the_first():
    assert chosen(choose.share([1.0, 2.0, 1.0, 1.0], 0.5)) == [0, 1]


def test_slimming_keeps_what_is_above_the_threshold():
    # Sorted: 1 2 3 4 5 6; entry 3 is 4, and two are above.
    keep = choose.globally({"a": [1.0, 6.0, 3.0], "b": [5.0, 2.0, 4.0]}, 0.5)
    assert {name: chosen(own) for name, own in keep.items()} == {
        "a": [1],
        "b": [0],
    }


def test_slimming_leaves_every_set_a_unit():
    keep = choose.globally({"a": [1.0, 2.0], "b": [5.0, 6.0]}, 0.5)
    assert {name: chosen(own) for name, own in keep.items()} == {
        "a": [1],
        "b": [1],
    }


def test_a_set_may_be_emptied_when_that_is_asked_for():
    keep = choose.globally({"a": [1.0, 2.0], "b": [5.0, 6.0]}, 0.5, least=0)
    assert chosen(keep["a"]) == []


def test_what_equals_a_threshold_goes():
    assert chosen(choose.above([1.0, 2.0, 3.0], 2.0)) == [2]


def test_equal_shares():
    scores = choose.in_proportion({"a": 4, "b": 10})
    # Half of the units of each, and not one more.
    assert (scores["a"] >= -0.5).sum() == 2
    assert (scores["b"] >= -0.5).sum() == 5


def test_a_budget_by_hand():
    # Taken in the order a1 b0 a0 b1: widths (1, 1) cost 3 + 1 + 2 = 6,
    # (2, 1) 6 + 2 + 2 = 10, (2, 2) 6 + 4 + 4 = 14.
    scores = {"a": [2.0, 4.0], "b": [3.0, 1.0]}
    for parameters, kept in (
        (6, ([1], [0])),
        (9, ([1], [0])),
        (10, ([0, 1], [0])),
        (13, ([0, 1], [0])),
        (14, ([0, 1], [0, 1])),
        (99, ([0, 1], [0, 1])),
    ):
        keep = choose.to_budget(scores, chain, parameters=parameters)
        assert (chosen(keep["a"]), chosen(keep["b"])) == kept


def test_both_budgets_hold():
    scores = {"a": np.arange(8.0), "b": np.arange(8.0)}
    wide = choose.to_budget(scores, chain, parameters=60)
    both = choose.to_budget(scores, chain, parameters=60, macs=45)
    assert chain(wide).macs > 45 >= chain(both).macs


def test_a_budget_in_multiples():
    scores = {"a": np.arange(10.0), "b": np.arange(3.0)}
    keep = choose.to_budget(scores, chain, parameters=50, multiple_of=4)
    # 4 units of the first and all 3 of the second, fewer than a multiple.
    assert (keep["a"].sum(), keep["b"].sum()) == (4, 3)
    assert chosen(keep["a"]) == [6, 7, 8, 9]


def test_a_set_that_loses_nothing_stays_as_it_is():
    scores = {"a": np.arange(10.0)}
    keep = choose.to_budget(scores, chain, parameters=1000, multiple_of=4)
    assert keep["a"].all()


def test_a_budget_that_is_too_small_says_the_smallest():
    with pytest.raises(ValueError, match="must be at least 22, .*least=2"):
        choose.to_budget(
            {"a": np.ones(5), "b": np.ones(5)},
            lambda keep: Cost(chain(keep).parameters + 8, 0),
            parameters=21,
            least=2,
        )


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "At least one of"),
        ({"parameters": 0}, "`parameters` must be an integer of at least 1"),
        ({"macs": 1.5}, "`macs` must be an integer"),
        ({"macs": 9, "multiple_of": 0}, "`multiple_of` must be"),
        ({"macs": 9, "least": -1}, "`least` must be"),
    ],
)
def test_budgets_that_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        choose.to_budget({"a": [1.0, 2.0]}, chain, **arguments)


@pytest.mark.parametrize("scores", [[], [1.0, np.nan], [[1.0]], [np.inf]])
def test_scores_that_are_refused(scores):
    with pytest.raises(ValueError, match="vector of finite numbers"):
        choose.share(scores, 0.5)
    with pytest.raises(ValueError, match="set 'a'"):
        choose.globally({"a": scores}, 0.5)


@pytest.mark.parametrize("ratio", [1.0, -0.1, True, "half", np.nan])
def test_ratios_that_are_refused(ratio):
    with pytest.raises(ValueError, match="`ratio_removed` must be"):
        choose.share([1.0], ratio)
    with pytest.raises(ValueError, match="`ratio` must be"):
        choose.globally({"a": [1.0]}, ratio)


def test_a_share_of_nothing_is_no_threshold():
    with pytest.raises(ValueError, match="more than 0"):
        choose.globally({"a": [1.0]}, 0.0)


def test_no_sets_are_refused():
    with pytest.raises(ValueError, match="at least one set"):
        choose.to_budget({}, chain, parameters=5)


# Few values, so that many scores are equal.
sets = st.lists(
    st.lists(st.integers(0, 5), min_size=1, max_size=12),
    min_size=1,
    max_size=4,
)


@given(
    sets,
    st.integers(1, 700),
    st.integers(1, 4),
    st.integers(0, 3),
    st.sampled_from(["parameters", "macs"]),
)
def test_the_largest_network_of_a_budget(
    found, budget, multiple_of, least, what
):
    scores = {str(i): np.array(own, float) for i, own in enumerate(found)}
    sizes = {name: len(own) for name, own in scores.items()}

    def rounded(number, size):
        if number == size:
            return size
        fewest = -(-least // multiple_of) * multiple_of
        return min(size, max(fewest, number - number % multiple_of))

    # All networks of the order, from the smallest on, unit by unit.
    units = [
        (-s, i, j) for i, own in enumerate(found) for j, s in enumerate(own)
    ]
    units.sort()
    networks = []
    for number in range(len(units) + 1):
        counts = [0] * len(found)
        for _, i, _ in units[:number]:
            counts[i] += 1
        keep = {}
        for (name, size), count in zip(sizes.items(), counts):
            best = sorted(range(size), key=lambda j: (-scores[name][j], j))
            keep[name] = np.isin(np.arange(size), best[: rounded(count, size)])
        networks.append(keep)
    costs = [getattr(chain(keep), what) for keep in networks]
    assert costs == sorted(costs)
    assume(costs[0] <= budget)
    largest = max(i for i, c in enumerate(costs) if c <= budget)

    keep = choose.to_budget(
        scores,
        chain,
        **{what: budget},
        multiple_of=multiple_of,
        least=least,
    )
    assert keep.keys() == scores.keys()
    for name, own in networks[largest].items():
        np.testing.assert_array_equal(keep[name], own)
