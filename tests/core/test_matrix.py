"""A kernel of several axes seen as a matrix: the same groups, in order."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsr_tf.core import granularity
from dsr_tf.core.grouping import Grouping
from dsr_tf.core.kernel_axes import KernelAxes

# Of a projection, (inputs, heads, size of a head), and of what follows.
QUERY = dataclasses.replace(KernelAxes.of(3), num_column_axes=2)
OUTPUT = dataclasses.replace(KernelAxes.of(3), num_row_axes=2)


@pytest.mark.parametrize(
    ("axes", "shape", "block_shape"),
    [
        (QUERY, (64, 4, 64), (32, 1, 32)),
        (QUERY, (64, 4, 48), (32, 1, 24)),
        (QUERY, (64, 8, 16), (32, 2, 16)),
        (QUERY, (64, 3, 16), (32, 1, 16)),
        (QUERY, (20, 3, 2), (20, 3, 2)),
        (OUTPUT, (4, 64, 64), (1, 32, 32)),
        (OUTPUT, (8, 8, 64), (4, 8, 32)),
        (KernelAxes.of(4), (3, 3, 8, 64), (1, 1, 8, 32)),
    ],
)
def test_blocks_of_up_to_32(axes, shape, block_shape):
    grouping = granularity.get("block:32").grouping(shape, axes)
    assert grouping.block_shape == block_shape


def test_blocks_that_do_not_fit():
    with pytest.raises(granularity.DoesNotFit):
        granularity.get("block:32").grouping((64, 4, 37), QUERY)


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=2, max_size=4
    ),
    st.data(),
)
def test_groups_of_the_matrix_are_those_of_the_kernel(numbers, data):
    block = tuple(length for _, length in numbers)
    shape = tuple(number * length for number, length in numbers)
    columns = data.draw(st.integers(1, len(shape) - 1))
    grouping = Grouping(shape, block, num_column_axes=columns)
    kernel = np.arange(np.prod(shape)).reshape(shape)
    matrix = grouping.matrix
    split = len(shape) - columns
    if matrix is None:
        # Not a rectangle of rows and columns that follow each other.
        flat = kernel.reshape(np.prod(shape[:split]), -1)
        group = grouping.groups(kernel)[0]
        rows, places = np.divmod(group, flat.shape[1])
        assert np.ptp(rows) + 1 > np.prod(block[:split]) or np.ptp(
            places
        ) + 1 > np.prod(block[split:])
        return
    assert matrix.kernel_shape == (
        np.prod(shape[:split]),
        np.prod(shape[split:]),
    )
    np.testing.assert_array_equal(
        grouping.groups(kernel),
        matrix.groups(kernel.reshape(matrix.kernel_shape)),
    )
    assert matrix.num_groups == grouping.num_groups
    roomy = grouping.with_room(1).room
    assert grouping.group_size == 1 or roomy == matrix.with_room(1).room
