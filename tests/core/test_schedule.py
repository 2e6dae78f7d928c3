import math

import hypothesis
import pytest
from hypothesis import strategies

from dsr_tf.core.schedule import Schedule


def test_value_of_each_epoch():
    schedule = Schedule("0:100,25:200,50:400", integer=True)
    assert [schedule(e) for e in (0, 24, 25, 49, 50, 99)] == [
        100,
        100,
        200,
        200,
        400,
        400,
    ]


def test_forms_agree():
    assert Schedule(5).values == Schedule("5").values == Schedule({0: 5}).values
    assert repr(Schedule("0:0.1,30:0.02")) == "0:0.1,30:0.02"
    assert Schedule(repr(Schedule({0: 7}))).values == {0: 7}


def test_scaled_boundaries():
    schedule = Schedule({0: 1.0, 60: 2.0, 120: 3.0}).scaled(0.2)
    assert schedule.values == {0: 1.0, 12: 2.0, 24: 3.0}


@pytest.mark.parametrize(
    "value",
    [
        *("", "x", "1:5", "0:1,2", "0:1,x:2", 0, -1, {5: 1}, {0: 0}, None, [1]),
        *("inf", "0:1,2:inf", math.inf, {0: math.nan}, "nan", "1e999"),
        # Two values for one epoch.
        *("0:0.1,0:0.2", "0:1,5:2,05:3"),
    ],
)
def test_refused(value):
    with pytest.raises(ValueError, match="`period` must be a positive"):
        Schedule(value, "period")


@pytest.mark.parametrize("value", [0.5, "0.5", "0:1.5"])
def test_integers_wanted(value):
    with pytest.raises(ValueError, match="positive integer"):
        Schedule(value, "period", integer=True)


NUMBERS = {
    False: strategies.floats(1e-300, 1e300),
    True: strategies.integers(1, 10**20),
}


@pytest.mark.parametrize("integer", [False, True])
@hypothesis.given(data=strategies.data())
def test_what_is_written_reads_back_as_the_same_values(integer, data):
    epochs = strategies.integers(0, 2**31)
    values = data.draw(strategies.dictionaries(epochs, NUMBERS[integer]))
    values[0] = data.draw(NUMBERS[integer])
    written = repr(Schedule(values, integer=integer))
    assert Schedule(written, integer=integer).values == values


def test_no_digit_is_lost():
    assert repr(Schedule(1_000_000, integer=True)) == "0:1000000"
    assert repr(Schedule("0.12345678")) == "0:0.12345678"
    # What was short stays as it was written before.
    assert repr(Schedule("0:1,5:0.00001")) == "0:1,5:1e-05"


def test_what_runs_of_before_wrote_reads_as_the_same():
    assert Schedule(1_000_000, integer=True).same_as("0:1e+06")
    assert Schedule("0:0.1,25:0.02").same_as("0:0.1,25:0.02")
    assert not Schedule("0.12345678").same_as("0:0.123457")
    for damaged in (None, [1], "", "x"):
        assert not Schedule(1).same_as(damaged)
