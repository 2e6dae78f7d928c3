"""Solvers on moments choose what loops over the samples choose."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsr_tf.structure.statistics import solvers


def samples(seed, num_samples=40, num_channels=9):
    """What channels add to outputs; some of them depend on each other."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(num_samples, num_channels))
    x = x @ generator.normal(size=(num_channels, num_channels))
    return x + generator.normal(size=num_channels)


def moments(x, y):
    return x.T @ x, x.T @ y


# The authors' loops (`value_sum` of both programs), but for what they print.


def discard_by_loops(x, num_kept):
    discarded, together = [], np.zeros(len(x))
    for _ in range(x.shape[1] - num_kept):
        norms = [
            np.inf if j in discarded else np.linalg.norm(together + x[:, j])
            for j in range(x.shape[1])
        ]
        discarded.append(int(np.argmin(norms)))
        together = together + x[:, discarded[-1]]
    return ~np.isin(np.arange(x.shape[1]), discarded)


def keep_by_loops(x, y, num_kept):
    kept, left = [], y
    for _ in range(num_kept):
        norms = [np.inf] * x.shape[1]
        for j in range(x.shape[1]):
            if j not in kept:
                weight = (x[:, j] @ left) / (x[:, j] @ x[:, j])
                norms[j] = np.linalg.norm(left - weight * x[:, j])
        kept.append(int(np.argmin(norms)))
        own = x[:, kept]
        left = y - own @ (np.linalg.pinv(own.T @ own) @ own.T @ y)
    return np.isin(np.arange(x.shape[1]), kept)


def lasso_by_descent(gram, b, alpha, beta, num_sweeps=200):
    """Coordinate descent from some weights on."""
    for _ in range(num_sweeps):
        before = beta.copy()
        for j in range(len(b)):
            shared = b[j] - gram[j] @ beta + gram[j, j] * beta[j]
            size = max(abs(shared) - alpha, 0)
            beta[j] = np.sign(shared) * size / gram[j, j]
        if np.abs(beta - before).max() < 1e-9:
            break
    return beta


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("num_kept", [1, 4, 8, 9])
def test_greedy_discard(seed, num_kept):
    x = samples(seed)
    kept = solvers.greedy_discard(x.T @ x, num_kept)
    np.testing.assert_array_equal(kept, discard_by_loops(x, num_kept))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("num_kept", [1, 4, 8, 9])
@pytest.mark.parametrize("is_own_sum", [True, False])
def test_greedy_keep(seed, num_kept, is_own_sum):
    x = samples(seed)
    y = x.sum(axis=1) if is_own_sum else samples(seed + 100)[:, 0]
    kept = solvers.greedy_keep(*moments(x, y), num_kept)
    np.testing.assert_array_equal(kept, keep_by_loops(x, y, num_kept))


def test_greedy_discard_by_hand():
    # Channel 2 alone is the smallest; with it 0 and 1 cancel out.
    x = np.array([[3.0, -3.0, 0.1, 9.0], [4.0, -4.0, 0.0, 9.0]])
    kept = solvers.greedy_discard(x.T @ x, 1)
    np.testing.assert_array_equal(kept, [False, False, False, True])


def test_greedy_keep_by_hand():
    # The first explains 9 of 9 + 4, then the second is all that is left.
    x = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    kept = solvers.greedy_keep(*moments(x, np.array([3.0, -2.0])), 2)
    np.testing.assert_array_equal(kept, [True, True, False])


@pytest.mark.parametrize("seed", range(5))
def test_lasso_path_is_where_descent_first_has_so_many_weights(seed):
    generator = np.random.default_rng(seed)
    x = samples(seed) + 3 * generator.normal(size=(40, 9))
    gram, b = moments(x, samples(seed + 50)[:, 0])
    beta, compared = np.zeros(9), set()
    for alpha in np.abs(b).max() * np.geomspace(1, 1e-3, 300):
        beta = lasso_by_descent(gram, b, alpha, beta)
        number = np.count_nonzero(beta)
        if number > max(compared, default=0):
            compared.add(number)
            kept = solvers.lasso_path(gram, b, number)
            np.testing.assert_array_equal(kept, beta != 0)
    # Two numbers may be passed between an alpha and the next.
    assert len(compared) >= 7


def test_lasso_path_by_hand():
    # Orthonormal channels get weights in the order of |b|.
    b = np.array([0.5, -3.0, 2.0, 1.0])
    kept = solvers.lasso_path(np.eye(4), b, 2)
    np.testing.assert_array_equal(kept, [False, True, True, False])


def test_a_channel_may_lose_its_weight_on_the_path():
    # Found by search: from five weights to four before there are six.
    found = 0
    for seed in range(60):
        x, y = samples(seed, 12, 6), samples(seed + 50)[:12, 0]
        kept = [solvers.lasso_path(*moments(x, y), k) for k in range(1, 7)]
        found += any((a & ~b).any() for a, b in zip(kept, kept[1:]))
    assert found


small = st.lists(
    st.lists(st.integers(-2, 2), min_size=4, max_size=4),
    min_size=1,
    max_size=6,
)


@given(small, st.integers(1, 4))
def test_channels_that_depend_on_each_other(rows, num_kept):
    # Few small integers: equal, zero and dependent channels, few samples.
    x = np.array(rows, "float64")
    gram, b = moments(x, x.sum(axis=1))
    for kept in (
        solvers.greedy_discard(gram, num_kept),
        solvers.greedy_keep(gram, b, num_kept),
        solvers.lasso_path(gram, b, num_kept),
    ):
        assert kept.sum() == num_kept
        weights = solvers.rescale(gram, b, kept)
        own = np.linalg.lstsq(x[:, kept], x.sum(axis=1))[0]
        np.testing.assert_allclose(x @ weights, x[:, kept] @ own, atol=1e-6)


def test_a_silent_channel_is_kept_last():
    x = samples(0)
    x[:, 2] = 0
    gram, b = moments(x, x.sum(axis=1))
    for kept in (
        solvers.greedy_discard(gram, 8),
        solvers.greedy_keep(gram, b, 8),
        solvers.lasso_path(gram, b, 8),
    ):
        np.testing.assert_array_equal(kept, np.arange(9) != 2)
    assert solvers.greedy_keep(gram, b, 9).all()
    assert solvers.lasso_path(gram, b, 9).all()


def test_rescale_is_least_squares():
    x = samples(3)
    y = x.sum(axis=1)
    kept = np.arange(9) % 2 == 0
    weights = solvers.rescale(*moments(x, y), kept)
    expected = np.linalg.lstsq(x[:, kept], y)[0]
    np.testing.assert_allclose(weights[kept], expected)
    assert not weights[~kept].any()


def test_reconstruct_is_least_squares_with_an_intercept():
    generator = np.random.default_rng(0)
    x, y = samples(4, 200, 6), generator.normal(size=(200, 3)) + 5
    ones = np.ones((200, 1))
    with_one = np.concatenate([x, ones], axis=1)
    kept = np.array([True, False, True, True, False, True])
    kernel, bias = solvers.reconstruct(
        with_one.T @ with_one, with_one.T @ y, kept
    )
    design = np.concatenate([x[:, kept], ones], axis=1)
    expected = np.linalg.lstsq(design, y)[0]
    np.testing.assert_allclose(kernel, expected[:-1], atol=1e-5)
    np.testing.assert_allclose(bias, expected[-1], atol=1e-4)


def test_reconstruct_without_an_intercept():
    generator = np.random.default_rng(0)
    x, y = samples(4, 200, 6), generator.normal(size=(200, 3)) + 5
    rows = np.concatenate([x, np.ones((200, 1))], axis=1)
    kernel, bias = solvers.reconstruct(
        rows.T @ rows, rows.T @ y, np.ones(6, "bool"), intercept=False
    )
    np.testing.assert_allclose(kernel, np.linalg.lstsq(x, y)[0], atol=1e-5)
    np.testing.assert_array_equal(bias, np.zeros(3))


def test_reconstruct_from_inputs_that_say_nothing():
    x = np.array([[2.0, 2.0, 1.0]] * 5)
    y = np.arange(5.0)[:, None]
    kernel, bias = solvers.reconstruct(x.T @ x, x.T @ y, np.ones(2, "bool"))
    np.testing.assert_array_equal(kernel, np.zeros((2, 1)))
    np.testing.assert_allclose(bias, [2.0])


@pytest.mark.parametrize("num_kept", [0, 4])
def test_numbers_that_are_refused(num_kept):
    with pytest.raises(ValueError, match="must be from 1 to 3"):
        solvers.greedy_discard(np.eye(3), num_kept)
    with pytest.raises(ValueError, match="must be from 1 to 3"):
        solvers.greedy_keep(np.eye(3), np.ones(3), num_kept)
    with pytest.raises(ValueError, match="must be from 1 to 3"):
        solvers.lasso_path(np.eye(3), np.ones(3), num_kept)


def test_moments_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="must be finite"):
        solvers.greedy_discard(np.full((2, 2), np.nan), 1)


def test_wide_layers_take_seconds():
    # 1,024 channels here; the loops over samples would take hours.
    x = samples(0, 1500, 1024)
    gram, b = moments(x, x.sum(axis=1))
    assert solvers.greedy_discard(gram, 512).sum() == 512
    assert solvers.greedy_keep(gram, b, 512).sum() == 512
