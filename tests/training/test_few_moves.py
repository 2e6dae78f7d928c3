"""Runs that say that their weights are going to move too rarely."""

import pytest

from dsr_tf import methods
from dsr_tf.callbacks import Reallocation
from dsr_tf.training.few_moves import few_reallocations


@pytest.mark.parametrize(
    ("method", "arguments", "number"),
    [
        # Of 70 updates, the last is number 69; and nothing is due at 0.
        (methods.SET(), {"period": 100}, 0),
        (methods.SET(), {"period": 70}, 0),
        (methods.SET(), {"period": 69}, 1),
        (methods.SET(), {"period": 7}, 9),
        (methods.SET(), {"period": 6}, None),
        # 7, 14, 21; 30, 60.
        (methods.SET(), {"period": {0: 7, 2: 30}}, 5),
        (methods.SET(), {"period": 7, "stop_epoch": 2}, 3),
        (methods.Adaptive(0.3, 52), {"period": 7}, 7),
        (methods.Static(), {"period": 100}, None),
        # Whose period only says how often moves are counted.
        (methods.DeepR(), {"period": 100}, None),
    ],
)
def test_how_often_weights_are_going_to_move(method, arguments, number):
    callback = Reallocation(method, **arguments)
    said = few_reallocations(callback, "0:7", 14, 5)
    times = "time" if number == 1 else "times"
    assert said == (
        []
        if number is None
        else [
            f"flag --period=0:7: weights move {number} {times} in the 70 "
            "updates of this run; --period=auto moves them five times an epoch"
        ]
    )


def test_an_automatic_period_and_no_reallocation_at_all():
    callback = Reallocation(methods.SET(), 100)
    assert few_reallocations(callback, "auto", 14, 5) == []
    assert few_reallocations(None, "0:100", 14, 5) == []
