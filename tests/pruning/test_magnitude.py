import numpy as np

from dsr_tf.pruning import magnitude

SCORES = np.array([0.5, 0.1, 0.4, 0.1, 0.3], "float32")
ALL = np.ones(5, "bool")


def test_the_largest_stay():
    assert magnitude.largest(SCORES, ALL, 0.4).tolist() == [1, 0, 1, 0, 1]
    assert magnitude.largest(SCORES, ALL, 0.2).tolist() == [1, 1, 1, 0, 1]
    assert magnitude.largest(SCORES, ALL, 0.99).tolist() == [1, 0, 0, 0, 0]


def test_what_is_inactive_stays_inactive():
    active = np.array([0, 1, 1, 1, 1], "bool")
    scores = np.where(active, SCORES, 0)
    assert magnitude.largest(scores, active, 0.0).tolist() == [0, 1, 1, 1, 1]
    assert magnitude.largest(scores, active, 0.6).tolist() == [0, 0, 1, 0, 1]


def test_the_threshold_lags_behind():
    """To keep two the threshold is 0.4; half way from 0.1 it is 0.25."""
    mask, threshold = magnitude.above_smoothed_threshold(
        SCORES, ALL, 0.6, np.float32(0.1), 0.5
    )
    np.testing.assert_allclose(threshold, 0.25)
    assert mask.tolist() == [1, 0, 1, 0, 1]


def test_the_largest_stays_in_any_case():
    active = np.array([0, 1, 0, 1, 1], "bool")
    scores = np.where(active, SCORES, 0)
    mask, _ = magnitude.above_smoothed_threshold(
        scores, active, 0.6, np.float32(50), 0.9
    )
    assert mask.tolist() == [0, 0, 0, 0, 1]


def test_pooling():
    groups = np.array([[1, -3], [2, 2]], "float32")
    assert magnitude.pool(groups, "AVG").tolist() == [2, 2]
    assert magnitude.pool(groups, "MAX").tolist() == [3, 2]
