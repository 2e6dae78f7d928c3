import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsr_tf.core import granularity
from dsr_tf.core import pattern
from dsr_tf.core.kernel_axes import KernelAxes


def grouping_of(name, shape, summed=-2):
    """The groups of a kernel with inputs along an axis, or none."""
    if summed is not None:
        summed %= len(shape)
    axes = dataclasses.replace(KernelAxes.of(len(shape)), summed=summed)
    return granularity.get(name).grouping(shape, axes)


def test_bundles_lie_along_the_inputs():
    grouping = grouping_of("1:2", (4, 2))
    assert grouping.mask_shape == (4, 2) and grouping.group_size == 1
    kernel = np.array([[1, 2], [3, 4], [5, 6], [7, 8]])
    bundles = grouping.pattern.bundles(kernel)
    assert bundles.tolist() == [[1, 3], [5, 7], [2, 4], [6, 8]]
    np.testing.assert_array_equal(grouping.pattern.unbundle(bundles), kernel)
    assert grouping.pattern.slots().tolist() == [0, 4, 1, 5, 2, 6, 3, 7]


def test_the_largest_of_each_bundle():
    scores = np.array([[3.0, 1, 2, 2], [0, 0, 0, 0]])
    chosen = pattern.largest_of_each(scores, 2)
    assert chosen.tolist() == [[1, 0, 1, 0], [1, 1, 0, 0]]


def test_ranks_among_those_of_the_bundle():
    scores = np.array([0.3, 0.1, 0.2, 0.1], "float32")
    slots = np.array([1, 3, 4, 0])
    ranks = pattern.ranks_in_bundles(scores, slots, 4)
    assert ranks.tolist() == [2, 1, 0, 0]
    none = np.zeros(0, "int64")
    assert not pattern.ranks_in_bundles(none.astype("f4"), none, 4).size


shapes = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5))


@given(
    shapes, st.integers(2, 5), st.integers(0, 2), st.data(), st.integers(0, 99)
)
def test_masks_of_any_shape(shape, size, axis, data, seed):
    """Masks have the pattern; bundles and slots agree with each other."""
    num_active = data.draw(st.integers(1, size - 1))
    shape = tuple(n * size if i == axis else n for i, n in enumerate(shape))
    grouping = grouping_of(f"{num_active}:{size}", shape, axis)
    found = grouping.pattern
    kernel = np.random.default_rng(seed).normal(size=shape)
    bundles = found.bundles(kernel)
    np.testing.assert_array_equal(found.unbundle(bundles), kernel)
    np.testing.assert_array_equal(
        bundles.reshape(-1)[found.slots()], kernel.reshape(-1)
    )
    # Moving M along the axis is moving to the next bundle.
    first = np.take(kernel, range(size), axis)
    assert set(bundles[0]) <= set(first.reshape(-1))
    count = found.num_bundles * num_active
    generator = np.random.default_rng(seed)
    largest = grouping.largest_mask(np.abs(kernel).reshape(-1), count)
    for mask in (grouping.random_mask(count, generator), largest):
        assert mask.shape == shape and mask.dtype == bool
        assert (found.bundles(mask).sum(axis=1) == num_active).all()
        grouping.check_mask(mask)
    kept = np.where(found.bundles(largest), np.abs(bundles), np.inf)
    left = np.where(found.bundles(largest), 0, np.abs(bundles))
    assert (kept.min(axis=1) >= left.max(axis=1)).all()


def test_random_masks_are_uniform():
    grouping = grouping_of("1:3", (3, 4000))
    mask = grouping.random_mask(4000, np.random.default_rng(0))
    # Expected 1333 each, standard deviation 30.
    assert abs(mask.sum(axis=1) - 4000 / 3).max() < 150


@pytest.mark.parametrize(
    "rows, message",
    [
        ([[1, 0, 0, 0]], "from 1 to 1"),
        ([[1, 1, 1, 0], [1, 1, 0, 0]], "from 2 to 3"),
    ],
)
def test_masks_without_the_pattern(rows, message):
    grouping = grouping_of("2:4", (4, len(rows)))
    with pytest.raises(ValueError, match=f"2 of every 4.*{message}"):
        grouping.check_mask(np.array(rows, bool).T)
    # On the way from all weights to 2 of 4.
    grouping.check_mask(np.array([[1, 1, 1, 0]] * len(rows), bool).T)


@pytest.mark.parametrize("name", ["4:4", "4:2", "0:4", "2:", "2:4:8", "02:4"])
def test_names_that_are_none(name):
    with pytest.raises(ValueError, match="or N:M such as 2:4"):
        granularity.get(name)


def test_the_sparsity_of_a_pattern():
    two_thirds = granularity.get("2:3")
    assert two_thirds.check_sparsity(0.333333) == 1 - 2 / 3
    assert two_thirds.check_sparsity(0) == 0
    with pytest.raises(ValueError, match="must be 0.333333 with.*'2:3'.*=0.9"):
        two_thirds.check_sparsity(0.9)
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        two_thirds.check_sparsity(1)


@pytest.mark.parametrize(
    "shape, axis, message",
    [
        ((6, 4), -2, r"that 4 divides.*\(6, 4\) with 6 along axis 0"),
        ((8,), None, "no such axis"),
        ((3, 3, 8, 1), None, "sums over an axis of inputs"),
    ],
)
def test_kernels_that_do_not_fit(shape, axis, message):
    with pytest.raises(granularity.DoesNotFit, match=message):
        grouping_of("2:4", shape, axis)
