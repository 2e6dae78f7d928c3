import hypothesis
import pytest
from hypothesis import strategies

from dsr_tf.core import period as periods
from dsr_tf.core.schedule import Schedule


@pytest.mark.parametrize(
    "steps_per_epoch, expected",
    [
        # ResNet-50 on ImageNet in batches of 256, as in Table 4.
        (5004, "0:1000,25:2000,50:4000,75:8000"),
        # WRN-28-2 on CIFAR-10 in batches of 100, but for its epochs.
        (500, "0:100,25:200,50:400,75:800"),
        (600, "0:120,25:240,50:480,75:960"),
        (5, "0:1,25:2,50:4,75:8"),
        (1, "0:1,25:2,50:4,75:8"),
    ],
)
def test_a_fifth_of_an_epoch(steps_per_epoch, expected):
    schedule = periods.in_updates(periods.get("auto"), steps_per_epoch)
    assert repr(schedule) == expected


def test_epochs_are_scaled_and_periods_are_not():
    period = periods.get("auto").scaled(0.2)
    expected = {0: 100, 5: 200, 10: 400, 15: 800}
    assert period.in_updates(500).values == expected
    assert repr(period) == "auto" and periods.get(period) is period


@hypothesis.given(strategies.integers(1, 10**6), strategies.integers(1, 10**6))
def test_what_counts_updates_stays(value, steps_per_epoch):
    schedule = periods.get(value)
    assert periods.in_updates(schedule, steps_per_epoch) is schedule
    assert schedule.values == Schedule(value).values


@pytest.mark.parametrize("value", [0, "Auto", "0:auto", None, 1.5])
def test_other_periods_are_refused(value):
    with pytest.raises(
        ValueError, match="`period` must be 'auto', a positive integer"
    ):
        periods.get(value)
