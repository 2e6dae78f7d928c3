import pytest

from dsr_tf.schedule import Schedule


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
    ["", "x", "1:5", "0:1,2", "0:1,x:2", 0, -1, {5: 1}, {0: 0}, None, [1]],
)
def test_refused(value):
    with pytest.raises(ValueError, match="`period` must be a positive"):
        Schedule(value, "period")


@pytest.mark.parametrize("value", [0.5, "0.5", "0:1.5"])
def test_integers_wanted(value):
    with pytest.raises(ValueError, match="positive integer"):
        Schedule(value, "period", integer=True)
