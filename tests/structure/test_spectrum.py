"""PFA's numbers and choices, compared with the authors' rules in loops."""

import numpy as np
import pytest

from dsr_tf.structure.statistics import spectrum


def covariance(seed, num_units=8):
    generator = np.random.default_rng(seed)
    mix = generator.normal(size=(num_units, num_units))
    mix *= generator.uniform(0.1, 3, size=num_units)
    return np.cov(generator.normal(size=(60, num_units)) @ mix, rowvar=False)


def correlations(c):
    found = np.abs(c) / np.sqrt(np.outer(np.diag(c), np.diag(c)))
    np.fill_diagonal(found, np.nan)
    return found


def by_sums(c, num_kept):
    """L1-Max, with NaN for what has gone."""
    found, gone = correlations(c), []
    while len(c) - len(gone) > num_kept:
        sums = np.nansum(found, axis=0)
        sums[gone] = np.nan
        unit = int(np.nanargmax(sums))
        gone.append(unit)
        found[unit] = found[:, unit] = np.nan
    return ~np.isin(np.arange(len(c)), gone)


def by_coefficients(c, num_kept):
    """AbsMax: of the pair that is most correlated, who has more besides."""
    found, gone = correlations(c), []
    while len(c) - len(gone) > num_kept:
        place = np.unravel_index(np.nanargmax(found), found.shape)
        left = found[list(place)].copy()
        left[:, list(place)] = np.nan
        second = [np.nanmax(row, initial=-1) for row in left]
        unit = place[int(np.argmax(second))]
        gone.append(int(unit))
        found[unit] = found[:, unit] = np.nan
    return ~np.isin(np.arange(len(c)), gone)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("num_kept", [2, 5, 7, 8])
def test_most_correlated(seed, num_kept):
    c = covariance(seed)
    np.testing.assert_array_equal(
        spectrum.most_correlated(c, num_kept), by_sums(c, num_kept)
    )
    np.testing.assert_array_equal(
        spectrum.most_correlated(c, num_kept, "abs"),
        by_coefficients(c, num_kept),
    )


def test_most_correlated_by_hand():
    # Unit 1 shares .9 + .5; then 0 and 2 share nothing, the first goes.
    c = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.5], [0.0, 0.5, 1.0]])
    np.testing.assert_array_equal(
        spectrum.most_correlated(c, 2), [True, False, True]
    )
    np.testing.assert_array_equal(
        spectrum.most_correlated(c, 1), [False, False, True]
    )


def test_of_equal_sums_the_largest_coefficient_decides():
    c = np.eye(6)
    for i, j, value in ((0, 1, 0.4), (0, 2, 0.4), (3, 4, 0.7), (3, 5, 0.1)):
        c[i, j] = c[j, i] = value
    # Units 0 and 3 both sum up to .8.
    assert not spectrum.most_correlated(c, 5)[3]


def test_correlations_do_not_depend_on_scales():
    c = covariance(1)
    scales = np.array([1e-6, 2e-6, 1e-6, 3e-6, 1e-6, 1e-6, 2e-6, 1e-6])
    np.testing.assert_array_equal(
        spectrum.most_correlated(c * np.outer(scales, scales), 4),
        spectrum.most_correlated(c, 4),
    )


def test_inactive_units_go_first():
    c = covariance(2)
    c[3] = c[:, 3] = 0
    c[3, 3] = 1e-9 * c.diagonal().max()
    np.testing.assert_array_equal(
        spectrum.most_correlated(c, 7), np.arange(8) != 3
    )
    # Also when more could stay.
    np.testing.assert_array_equal(
        spectrum.most_correlated(c, 8), np.arange(8) != 3
    )


def test_one_of_silent_units_stays():
    kept = spectrum.most_correlated(np.zeros((3, 3)), 2)
    np.testing.assert_array_equal(kept, [True, False, False])


def test_a_rule_that_is_none_is_refused():
    with pytest.raises(ValueError, match="'l1' or 'abs'"):
        spectrum.most_correlated(np.eye(3), 2, "max")


def test_the_share_of_directions_that_vary_alike():
    assert spectrum.spectrum_share(np.eye(5)) == pytest.approx(1.0)
    # Half of the directions: the divergence is ln 2 of ln 4.
    half = np.diag([1.0, 1.0, 0.0, 0.0])
    assert spectrum.spectrum_share(half) == pytest.approx(0.5)
    one = np.diag([1.0, 0.0, 0.0, 0.0])
    assert spectrum.spectrum_share(one) == pytest.approx(0.0, abs=1e-9)
    assert spectrum.spectrum_share(np.array([[2.0]])) == 1.0


def test_a_share_by_hand():
    p = np.array([0.7, 0.2, 0.1])
    divergence = float(np.sum(p * np.log(p * 3)))
    assert spectrum.spectrum_share(np.diag(p)) == pytest.approx(
        1 - divergence / np.log(3)
    )


def test_energy_before_each_direction():
    found = spectrum.energy_before(np.diag([1.0, 5.0, 4.0]))
    np.testing.assert_allclose(found, [0.0, 0.5, 0.9])
    # The fewest directions that hold .9 of the variance are two.
    assert (found < 0.9 - 1e-9).sum() == 2
    np.testing.assert_array_equal(
        spectrum.energy_before(np.zeros((3, 3))), [0.0, 1.0, 1.0]
    )
