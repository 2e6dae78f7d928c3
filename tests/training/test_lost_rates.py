"""Shortened runs that say which learning rates they leave out."""

import pytest

from dsr_tf.core.schedule import Schedule
from dsr_tf.training.experiment import Experiment
from dsr_tf.training.lost_rates import lost_rates

# The last is beyond the 100 epochs at any scale.
RATES = "0:0.1,25:0.02,50:0.004,75:0.0008,100:0.0001"


@pytest.mark.parametrize(
    ("scale", "said"),
    [
        (1, None),
        (0.04, None),
        # 25 and 50 epochs become 0 and 1, so 0.1 has none.
        (0.02, "0.1, 0.0008"),
        (0.01, "0.1, 0.02, 0.0008"),
        (2, None),
    ],
)
def test_rates_that_no_epoch_has(scale, said):
    experiment = Experiment(
        output_dir="x",
        epochs=100,
        learning_rate=Schedule(RATES),
        schedule_scale=scale,
    )
    found = lost_rates(experiment.to_dict(), experiment.scaled())
    assert found == (
        [
            f"flag --schedule_scale={scale}: of --learning_rate={RATES} no "
            f"epoch is left for {said}"
        ]
        if said
        else []
    )
