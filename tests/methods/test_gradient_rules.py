"""What RigL and SNFS choose, of kernels given as arrays."""

import numpy as np
import pytest

from dsr_tf import methods
from dsr_tf.methods import grow
from dsr_tf.methods import redistribute
from dsr_tf.methods.method import KernelView
from dsr_tf.reallocation.state import ReallocationState


def test_the_fraction_falls_along_a_cosine():
    method = methods.RigL(0.4, end_step=100)
    assert method.fraction_at(0) == pytest.approx(0.4)
    assert method.fraction_at(50) == pytest.approx(0.2)
    assert method.fraction_at(75) == pytest.approx(0.2 * (1 - 0.5**0.5))
    assert method.fraction_at(100) == method.fraction_at(500) == 0
    assert not method.is_over(99) and method.is_over(100)
    assert methods.RigL(0.4, None).fraction_at(10**9) == 0.4


def test_rigl_on_one_kernel():
    """Half of four weights at step 0, a quarter of them half way."""
    scores = np.array([0.4, 0.1, 0.3, 0.2], "float32")
    gradients = np.array([1, 5, 0, 7, 2], "float32")
    view = KernelView(scores, 5, 1, 0, None, gradients)
    method, state = methods.RigL(0.5, end_step=100), ReallocationState()
    assert method.prune([view], state, 0)[0].tolist() == [0, 1, 0, 1]
    assert method.prune([view], state, 50)[0].tolist() == [0, 1, 0, 0]
    assert method.prune([view], state, 100)[0].tolist() == [0, 0, 0, 0]
    assert sorted(method.grow(view, 2, None)) == [1, 3]


def test_growth_takes_the_first_of_equals():
    scores = np.array([2, 1, 2, 3, 2], "float32")
    assert sorted(grow.largest(scores, 3)) == [0, 2, 3]
    assert grow.largest(scores, 0).size == 0
    assert sorted(grow.largest(scores, 5)) == [0, 1, 2, 3, 4]


def test_snfs_shares_by_mean_momentum():
    """Means 1 and 3 of different numbers of weights: a quarter, the rest."""
    momenta = [np.array([0.5, 1.5, 1.0]), np.array([3.0])]
    assert redistribute.by_momentum(8, momenta, [9, 9], [1, 1]) == [2, 6]
    assert redistribute.by_momentum(8, momenta, [9, 4], [1, 1]) == [4, 4]
    nothing = [np.zeros(3), np.zeros(2)]
    assert sum(redistribute.by_momentum(6, nothing, [3, 9], [1, 1])) == 6


@pytest.mark.parametrize("kind", [methods.RigL, methods.SNFS])
@pytest.mark.parametrize(
    "arguments",
    [
        {"fraction": 0},
        {"fraction": 1},
        {"fraction": "0.3"},
        {"end_step": 0},
        {"end_step": 2.5},
    ],
)
def test_bad_arguments(kind, arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"`{name}` must.*Received: {name}="):
        kind(**arguments)
