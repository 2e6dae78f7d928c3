"""What runs multiply: by hand, and of each kind of method."""

import dataclasses
import json

import numpy as np
import pytest

from dsr_tf import recipes
from dsr_tf.commands import train
from dsr_tf.comparison import aggregate
from dsr_tf.layers.summary import LayerSummary
from dsr_tf.layers.summary import SparsitySummary
from dsr_tf.training.experiment import Experiment
from dsr_tf.training.training_macs import training_macs
from tests.comparison.test_aggregate import run
from tests.comparison.test_traits import summary as summary_of_run


def summary_of(num_uses=3):
    """100 MACs, 60 of them by a kernel and 20 by another one."""
    return SparsitySummary(
        "model",
        [
            LayerSummary("a", (20,), "element", 20, 4, num_uses=num_uses),
            LayerSummary("b", (10,), "element", 10, 5, num_uses=2),
        ],
        100,
        {},
        num_macs=100,
    )


def row(step, *numbers):
    names = [f"{n}:{p}" for n in ("pruned", "grown", "active") for p in "ab"]
    return {"step": str(step), **dict(zip(names, map(str, numbers)))}


ROWS = [row(2, 2, 1, 0, 3, 6, 8), row(5, 2, 3, 0, 0, 4, 5)]


def test_by_hand():
    # Of 8 and 6 weights, then of 6 and 8, then of 4 and 5.
    first, second, third = 20 + 24 + 12, 20 + 18 + 16, 20 + 12 + 10
    expected = 3 * (2 * first + 3 * second + 4 * third)
    assert training_macs(ROWS, summary_of(), 9) == expected
    # Before each reallocation, and always.
    more = (100 - first) + (100 - second)
    found = training_macs(ROWS, summary_of(), 9, [1, 4])
    assert found == expected + more
    more = 2 * (100 - first) + 3 * (100 - second) + 4 * (100 - third)
    found = training_macs(ROWS, summary_of(), 9, range(9))
    assert found == expected + more


def test_nothing_moved():
    assert training_macs([], summary_of(), 7) == 3 * 7 * (20 + 12 + 10)


def test_what_is_not_known():
    assert training_macs(ROWS, summary_of(num_uses=None), 9) is None


@pytest.mark.parametrize(
    ("method", "stop_epoch", "end_epoch", "expected"),
    [
        ("static", None, None, []),
        ("dsr", None, None, []),
        ("adaptive", None, None, [2, 5]),
        ("rigl", None, None, [2, 5]),
        ("snfs", None, None, range(20)),
        ("snfs", 2, None, range(10)),
        ("snfs", None, 3, range(15)),
    ],
)
def test_dense_gradients(method, stop_epoch, end_epoch, expected):
    experiment = Experiment(
        method=method,
        output_dir="runs",
        stop_epoch=stop_epoch,
        fraction_end_epoch=end_epoch,
        epochs=4,
    )
    recipe = recipes.get(method)
    found = recipe.dense_gradients(experiment, 10_000, [3, 6], 20, 5)
    assert list(found) == list(expected)


def test_growth_by_gradients_of_dsr():
    experiment = Experiment(method="dsr", growth="half", output_dir="runs")
    recipe = recipes.get("dsr")
    assert recipe.dense_gradients(experiment, 10_000, [3, 6], 20, 5) == [2, 5]


def test_a_run(tmp_path):
    """One step in seven of RigL has a dense gradient."""
    train.main(
        [
            "train",
            "--dataset=digits",
            "--method=rigl",
            "--sparsity=0.9",
            "--epochs=2",
            "--period=7",
            "--nojit_compile",
            f"--output_dir={tmp_path / 'run'}",
        ]
    )
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    ratio, macs = summary["training_macs_ratio"], summary["num_macs"]
    # Each weight of a Dense layer is used once, wherever it is.
    share = summary["num_active_macs"] / macs
    num_steps = summary["num_training_macs"] / ratio
    num_steps /= 3 * macs * summary["settings"]["batch_size"]
    dense = summary["num_reallocations"] / num_steps
    assert 0 < dense < 1
    np.testing.assert_allclose(ratio, share + dense * (1 - share) / 3)


def test_in_a_comparison():
    def noted(num, name, *arguments, start=None):
        planned, summary = run(name, *arguments)
        planned = dataclasses.replace(planned, folder=f"{name}_{num}")
        of_traits = summary_of_run(150, 1000, start=start)
        return planned, {**of_traits, **summary, "num_training_macs": num}

    runs = [
        noted(100, "dense", "dense", None, 1, 0.96, 1000, 2.0, 1.0),
        noted(20, "mine", "dsr", 0.1, 1, 0.9, 150, 3.0),
        noted(40, "mine", "dsr", 0.1, 2, 0.9, 150, 3.0),
        noted(50, "two", "gradual", 0.1, 2, 0.9, 150, 3.0, start="dense_100"),
    ]
    dense, mine, two = aggregate.rows(runs)
    assert mine.training_macs_ratio == pytest.approx(0.3)
    assert dense.training_macs_ratio == 1
    # The run that it started from counts as well.
    assert two.training_macs_ratio == pytest.approx(1.5)
    # An earlier version noted none.
    del runs[0][1]["num_training_macs"]
    for row in (*aggregate.rows(runs), *aggregate.rows(runs[1:3])):
        assert row.training_macs_ratio is None
