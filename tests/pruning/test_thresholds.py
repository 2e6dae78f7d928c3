"""The rules that prune below thresholds, computed by hand."""

import dataclasses

import hypothesis
import keras
import numpy as np
import pytest
from hypothesis import strategies as st

import dsr_tf
from dsr_tf.pruning import Candidate
from dsr_tf.pruning import LinearThreshold
from dsr_tf.pruning import StdThreshold
from dsr_tf.pruning import by_path


def candidate(weights, active=None, remembered=0.0, path="a/kernel"):
    groups = np.array(weights, "float32")
    groups = groups.reshape(len(groups), -1)
    if active is None:
        active = np.ones(len(groups), "bool")
    active = np.array(active, "bool")
    groups = groups * active[:, None]
    return Candidate(path, groups, active, np.float32(remembered))


def prunings(rule, num_steps):
    """The updates after which a rule prunes, looked at after each."""
    last, found = 0, []
    for step in range(num_steps):
        if rule.is_due(step, last):
            found.append(step)
            last = step
    return found


LINEAR = LinearThreshold(0.7, start=10, ramp=20, end=30, frequency=5)


def test_the_linear_path():
    """theta = 2 * 0.7 * 5 / (2 * 10 + 3 * 10) = 0.14, phi = 0.21."""
    path = {
        15: 0.14 * 6 / 5,
        19: 0.14 * 10 / 5,
        20: (0.14 * 11 + 0.21 * 1) / 5,
        25: (0.14 * 11 + 0.21 * 6) / 5,
        # One update beyond q: 0.7 * (1 + 5 / 50).
        30: 0.77,
    }
    for step, threshold in path.items():
        found = LINEAR.threshold_at(0.7, step)
        assert found == pytest.approx(threshold, rel=1e-15)


def test_another_factor_is_that_of_the_ramp_only():
    steeper = dataclasses.replace(LINEAR, ramp_factor=2)
    assert steeper.threshold_at(0.7, 15) == LINEAR.threshold_at(0.7, 15)
    expected = pytest.approx((0.14 * 11 + 0.28 * 6) / 5)
    assert steeper.threshold_at(0.7, 25) == expected


@hypothesis.given(
    q=st.floats(0.01, 10),
    start=st.integers(0, 500),
    rise=st.integers(0, 500),
    ramp=st.integers(1, 500),
    frequency=st.integers(1, 50),
)
def test_the_path_grows_to_q(q, start, rise, ramp, frequency):
    """At any frequency: eps(e) = q * (1 + 5 / (2 (r - s) + 3 (e - r)))."""
    rule = LinearThreshold(
        q, start, start + rise, start + rise + ramp, frequency
    )
    path = [rule.threshold_at(q, t) for t in range(start, rule.end + 1)]
    assert path[0] > 0
    assert all(a < b for a, b in zip(path, path[1:]))
    excess = 5 / (2 * rise + 3 * ramp)
    assert path[-1] == pytest.approx(q * (1 + excess))


def test_when_they_are_due():
    """Both ends are left out: s < t < e."""
    assert prunings(LINEAR, 50) == [15, 20, 25]
    assert prunings(StdThreshold(1.0, 10), 41) == [10, 20, 30, 40]
    assert prunings(StdThreshold(1.0, 10, start=10, end=40), 99) == [20, 30]
    assert LINEAR.next_due(0, 0) == 15
    assert LINEAR.next_due(15, 15) == 20
    assert LINEAR.next_due(25, 25) is None


def test_what_is_missed_is_made_up_for():
    """By the threshold of the update at which it was due."""
    assert not LINEAR.is_due(14, 0) and LINEAR.is_due(17, 0)
    assert not LINEAR.is_due(19, 17) and LINEAR.is_due(21, 17)
    assert LINEAR.is_due(90, 21) and not LINEAR.is_due(90, 26)
    kernel = candidate([0.16, 0.17, 0.6])
    assert LINEAR.keep(kernel, 17).mask.tolist() == [0, 1, 1]
    assert LINEAR.keep(kernel, 17).threshold == LINEAR.threshold_at(0.7, 15)
    assert LINEAR.keep(kernel, 90).threshold == LINEAR.threshold_at(0.7, 25)


def test_weights_at_the_threshold_go():
    rule = LinearThreshold(1.0, start=0, ramp=2, end=4, frequency=1)
    # theta = 2 / 10; eps(1) = 0.4, a little below the float32 next to it.
    below, above = np.float32(0.4), np.nextafter(np.float32(0.4), 1)
    assert float(below) > 0.4
    kernel = candidate([0.3999, -0.39, below, -above])
    assert rule.keep(kernel, 1).mask.tolist() == [0, 0, 1, 1]
    half = LinearThreshold(1.25, start=0, ramp=2, end=4, frequency=1)
    assert half.threshold_at(1.25, 1) == 0.5
    kernel = candidate([0.5, -0.5, 0.75])
    assert half.keep(kernel, 1).mask.tolist() == [0, 0, 1]


def test_what_is_inactive_stays_so_and_the_largest_stays():
    kernel = candidate([9, 0.01, 0.03, 0.02], active=[0, 1, 1, 1])
    assert LINEAR.keep(kernel, 15).mask.tolist() == [0, 0, 1, 0]


def test_groups_go_by_their_mean_magnitude():
    kernel = candidate([[0.3, -0.1], [0.1, 0.2], [0.0, 0.34]])
    assert LINEAR.keep(kernel, 15).mask.tolist() == [1, 0, 1]


def test_a_multiple_of_the_deviation():
    """Of -3, -1, 1, 3 it is sqrt(5), 2.236."""
    rule = StdThreshold(0.5, 10)
    kept = rule.keep(candidate([-3, -1, 1, 3]), 10)
    assert kept.remembered == np.float32(5**0.5)
    assert kept.threshold == 0.5 * float(kept.remembered)
    assert kept.mask.tolist() == [1, 0, 0, 1]


def test_the_deviation_is_that_of_the_first_pruning():
    rule = StdThreshold(0.5, 10)
    kernel = candidate([-30, 1, 10, 30], [1, 0, 1, 1], remembered=40)
    kept = rule.keep(kernel, 20)
    assert (kept.threshold, kept.remembered) == (20, 40)
    assert kept.mask.tolist() == [1, 0, 0, 1]
    # Where it is taken of a kernel with inactive weights, these do not count.
    kept = rule.keep(candidate([-3, 9, 3], [1, 0, 1]), 10)
    assert kept.remembered == 3


@pytest.mark.parametrize("kind", ["linear", "std"])
def test_a_number_for_each_expression(kind):
    given = {"lstm": 0.2, "^fc/": 0.4}
    rule = (
        LinearThreshold(given, 0, 2, 4, 1)
        if kind == "linear"
        else StdThreshold(given, 1)
    )

    def threshold(path):
        kernel = candidate([-1, 1, 0.5], path=path)
        kept = rule.keep(kernel, 1)
        return None if kept is None else kept.threshold

    first = threshold("net/lstm/lstm_cell/kernel")
    assert threshold("fc/kernel") == pytest.approx(2 * first) and first > 0
    assert threshold("net/fc/kernel") is None


@hypothesis.given(
    weights=st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=20),
    quality=st.floats(0, 3),
)
def test_what_stays_is_above_and_what_goes_is_not(weights, quality):
    kernel = candidate(weights)
    kept = StdThreshold(quality, 1).keep(kernel, 1)
    sizes = np.abs(np.array(weights, "float32")).astype("float64")
    above = sizes > kept.threshold
    if above.any():
        np.testing.assert_array_equal(kept.mask, above)
    else:
        assert kept.mask.tolist() == [
            i == sizes.argmax() for i in range(len(weights))
        ]


@pytest.mark.parametrize(
    "name, value",
    [
        *(("q", value) for value in (-0.1, True, "x", {}, float("nan"), None)),
        *(("q", value) for value in ({"(": 1}, {"a": -1}, ["a"], [], {1: 2})),
        ("start", -1),
        ("start", 1.5),
        ("ramp", 9),
        ("end", 19),
        ("frequency", 0),
        ("ramp_factor", 0.5),
        ("ramp_factor", float("inf")),
    ],
)
def test_bad_linear_thresholds(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must .*Received: {name}="):
        dataclasses.replace(LINEAR, **{name: value})


def test_thresholds_that_end_where_they_start():
    with pytest.raises(ValueError, match="`end` must be after start, 5"):
        LinearThreshold(1.0, 5, 5, 5, 1)


@pytest.mark.parametrize(
    "name, value",
    [("quality", -1), ("frequency", 0), ("start", -1), ("end", 0), ("end", 4)],
)
def test_bad_std_thresholds(name, value):
    given = {"quality": 1.0, "frequency": 1, "start": 5}
    with pytest.raises(ValueError, match=f"`{name}` must .*Received: {name}="):
        StdThreshold(**{**given, name: value})


def recurrent():
    return keras.Sequential(
        [
            keras.Input((5, 3)),
            keras.layers.Conv1D(4, 2, name="conv"),
            keras.layers.LSTM(4, return_sequences=True, name="lstm"),
            keras.layers.Bidirectional(keras.layers.GRU(2), name="both"),
            keras.layers.Dense(3, name="fc"),
        ]
    )


def test_percentiles_of_the_types_of_layers():
    dense = recurrent()
    for variable in dense.variables:
        size = np.prod(variable.shape)
        variable.assign(-np.arange(size).reshape(variable.shape) - 1)
    found = dsr_tf.pruning.percentiles(dense, 100)
    # The kernel of the LSTM has 64 weights, more than those of the GRUs.
    assert list(found.values()) == [64, 12]
    found = dsr_tf.pruning.percentiles(dense, 50, [(keras.layers.Dense,)])
    assert found == {r"^(fc/kernel)$": 6.5}
    # Half of each type's weights are above its median.
    medians = dsr_tf.pruning.percentiles(dense, 50)
    masked = dsr_tf.sparsify(dense, 0.0, filters=lambda x: x.name != "conv")
    rule = StdThreshold(medians, 1)
    weights = dsr_tf.masked_weights(masked)
    rule.check(weights)
    assert len(weights) == 7
    for number, of in zip(medians.values(), (weights[:-1], weights[-1:])):
        sizes = [np.abs(keras.ops.convert_to_numpy(w.kernel)) for w in of]
        above = sum((size > number).sum() for size in sizes)
        assert above == sum(w.size for w in of) // 2
    assert dsr_tf.pruning.percentiles(masked, 50) == medians


def test_percentiles_of_layers_of_one_name():
    inner = keras.Sequential([keras.layers.Dense(4, name="fc")], name="a")
    again = keras.Sequential([keras.layers.Dense(3, name="fc")], name="a")

    class Both(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = inner, again

        def call(self, inputs):
            return self.second(self.first(inputs))

    model = Both()
    model(np.ones((1, 2)))
    inner.layers[0].kernel.assign(np.ones((2, 4)))
    again.layers[0].kernel.assign(np.full((4, 3), 9))
    # 8 weights of 1, and 12 of 9.
    assert list(dsr_tf.pruning.percentiles(model, 50).values()) == [9]
    found = dsr_tf.pruning.percentiles(model, 0)
    assert list(found.values()) == [1]
    weights = dsr_tf.masked_weights(dsr_tf.sparsify(model, 0.0, inplace=True))
    assert len(weights) == 2
    assert by_path.find(found, weights[1].path) == 1


def test_percentiles_of_what_is_not_there():
    model = keras.Sequential([keras.Input((5, 3)), keras.layers.Conv1D(4, 2)])
    with pytest.raises(ValueError, match="must have layers .* LSTMCell.*Dense"):
        dsr_tf.pruning.percentiles(model)
    with pytest.raises(ValueError, match="Received: percentile=101"):
        dsr_tf.pruning.percentiles(model, 101)
    with pytest.raises(ValueError, match="is not built yet"):
        dsr_tf.pruning.percentiles(keras.Sequential([keras.layers.Dense(1)]))


def test_what_a_linear_threshold_has_ahead():
    """Due after updates 10, 20 and 30, not after 40."""
    rule = LinearThreshold(0.3, start=2, ramp=18, end=40, frequency=10)
    assert rule.unfinished(30) is None
    assert rule.unfinished(20) == (
        "the last pruning was after update 20, and the threshold grows until "
        "update 40"
    )
    assert StdThreshold(0.8, 5, end=34).unfinished(5) is None
