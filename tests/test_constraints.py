import keras
import numpy as np
import pytest

from dsr_tf.constraints import InTurn
from dsr_tf.constraints import ZeroBelow
from tests.conftest import values


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_small_weights_become_0(dtype):
    weights = keras.Variable([0.2, -0.2, 0.25, -0.25, 0, np.nan], dtype=dtype)
    found = values(ZeroBelow(0.25)(weights))
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, [0, 0, 0.25, -0.25, 0, np.nan])


def test_constraints_act_in_turn():
    first = InTurn([ZeroBelow(0.5), "non_neg", None])
    both = InTurn([first, lambda w: 2 * w])
    assert len(both.constraints) == 3
    weights = np.array([-3, -0.4, 0.4, 0.6], "float32")
    np.testing.assert_allclose(values(both(weights)), [0, 0, 0, 1.2])


def test_they_are_saved():
    weights = np.array([-3, -0.4, 0.4, 0.6], "float32")
    for given in [ZeroBelow(0.5), InTurn(["non_neg", ZeroBelow(0.5)])]:
        loaded = keras.constraints.get(keras.constraints.serialize(given))
        assert type(loaded) is type(given)
        assert loaded.get_config() == given.get_config()
        np.testing.assert_array_equal(
            values(loaded(weights)), values(given(weights))
        )


@pytest.mark.parametrize("threshold", [-1e-3, np.nan, "1e-4", True])
def test_bad_thresholds(threshold):
    with pytest.raises(ValueError, match="`threshold` must be a number"):
        ZeroBelow(threshold)
