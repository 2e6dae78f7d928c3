"""The number of active weights over time, from a table by hand."""

from dsr_tf.layers.summary import LayerSummary
from dsr_tf.layers.summary import SparsitySummary
from dsr_tf.training.budget_log import BudgetLog

SPARSITY = SparsitySummary(
    "model",
    [
        LayerSummary("a", (10,), "element", 10, 4),
        LayerSummary("b", (10,), "element", 10, 5),
        LayerSummary("frozen", (10,), "element", 10, 7, trainable=False),
    ],
    100,
    {},
)


def row(*numbers):
    names = [f"{n}:{p}" for n in ("pruned", "grown", "active") for p in "ab"]
    return dict(zip(names, map(str, numbers)))


def test_at_start_and_largest():
    rows = [row(2, 1, 0, 3, 6, 8), row(2, 3, 0, 0, 4, 5)]
    log = BudgetLog.of(rows, SPARSITY)
    assert log.at_start == {"a": 8, "b": 6, "frozen": 7}
    assert log.largest == 8 + 6 + 7
    grown = [row(0, 0, 2, 3, 8, 8), row(4, 3, 0, 0, 4, 5)]
    log = BudgetLog.of(grown, SPARSITY)
    assert log.at_start == {"a": 6, "b": 5, "frozen": 7}
    assert log.largest == 8 + 8 + 7


def test_nothing_moved():
    log = BudgetLog.of([], SPARSITY)
    assert log.at_start == {"a": 4, "b": 5, "frozen": 7}
    assert log.largest == 16
