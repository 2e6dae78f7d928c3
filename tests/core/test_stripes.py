"""The largest gradients of what is not stored, in stripes of any size."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from keras import ops

from dsr_tf.core import stripes
from dsr_tf.core.grouping import Grouping
from tests.conftest import needs_tensorflow
from tests.conftest import values


# Property tests below have stripes of 1, which take a step for each weight.
@pytest.fixture(params=[3, 40, 2**18])
def size_of_a_stripe(request, monkeypatch):
    monkeypatch.setattr(stripes, "STRIPE", request.param)


# It compiles for each shape.
NUMBER = 5 if keras.backend.backend() == "jax" else 25


def test_by_hand(size_of_a_stripe):
    """Two examples; blocks of one input and two outputs.

    The gradient of the matrix is

        1 1 | 0 -2
        3 3 | 0 -6
        5 5 | 0 -10

    and the means of its blocks 1, 3, 5 and 1, 3, 5.
    """
    inputs = np.array([[1, 3, 5], [0, 0, 0]], "float32")
    upstream = np.array([[1, 1, 0, -2], [9, 9, 9, 9]], "float32")
    # The last of the first two outputs are active; of the others none.
    index = np.array([[2], [0]], "int32")
    active = np.array([[True], [False]])
    scores, numbers = stripes.largest_blocks(
        *map(ops.convert_to_tensor, (inputs, upstream, index, active)),
        Grouping((3, 4), (1, 2)),
        3,
    )
    assert values(scores).tolist() == [[3, 1, -1], [5, 3, 1]]
    assert values(numbers).tolist() == [[1, 0, 2], [2, 1, 0]]


def test_rows_by_hand(size_of_a_stripe):
    """Row 1 is looked up twice, row 2 never, the last as -1."""
    indices = np.array([1, 0, 1, -1], "int32")
    upstream = [[1, 0, 2], [0, -1, 4], [2, 0, -3], [0, 0, 7]]
    # Column 2 of row 0 is active, 0 of row 3; there are no others.
    columns = np.array([[2], [3], [3], [0]], "uint8")
    scores, numbers = stripes.largest_in_rows(
        ops.convert_to_tensor(indices),
        ops.convert_to_tensor(np.array(upstream, "float32")),
        ops.convert_to_tensor(columns),
        3,
        3,
    )
    assert values(scores).tolist() == [
        [1, 0, -1],
        [3, 1, 0],
        [0, 0, 0],
        [7, 0, -1],
    ]
    assert values(numbers).tolist() == [
        [1, 0, 2],
        [0, 2, 1],
        [0, 1, 2],
        [2, 1, 0],
    ]


def test_draws_of_those_that_are_not_0(size_of_a_stripe):
    """Of 8 free weights of each of two outputs 4 have a gradient.

    Each of these is as likely to be among the first three, and only with all
    four drawn do others follow, with scores of 0.
    """
    inputs = np.array([[1, 0, -2, 0, 3, 0, 4, 0, 5]], "float32")
    upstream = np.array([[1, -1e-6]], "float32")
    index, active = np.array([[8], [8]]), np.array([[True], [True]])
    arrays = map(ops.convert_to_tensor, (inputs, upstream, index, active))
    arrays = list(arrays)
    counts = np.zeros((2, 9), int)
    grouping = Grouping((9, 2), (1, 1))
    for key in keys(100):
        scores, numbers = map(
            values, stripes.largest_blocks(*arrays, grouping, 6, key)
        )
        assert (scores[:, :4] >= 1).all() and (scores[:, 4:] == 0).all()
        for own, drawn in zip(counts, numbers):
            assert len(set(drawn)) == 6 and 8 not in drawn
            own[drawn[:3]] += 1
    assert (counts[:, 1::2] == 0).all() and (counts[:, 8] == 0).all()
    # 75 of 100 each, with a deviation of 4.3.
    assert (abs(counts[:, [0, 2, 4, 6]] - 75) < 25).all()


def keys(number):
    for key in range(number):
        yield ops.convert_to_tensor(np.uint32(key * 2654435761 % 2**32))


@needs_tensorflow
def test_draws_of_a_list(size_of_a_stripe):
    """Of 9 x 2 weights, 10 have a gradient, and 2 of these are taken."""
    inputs = np.array([[1, 0, -2, 0, 3, 0, 4, 0, 5]], "float32")
    upstream = np.array([[1, -1e-6]], "float32")
    at = [np.array([8, 8], "int32"), np.array([0, 1], "int32")]
    arrays = [ops.convert_to_tensor(array) for array in (inputs, upstream, *at)]
    counts = np.zeros(18, int)
    for key in keys(100):
        found = stripes.largest_weights(*arrays, (9, 2), 11, key)
        scores, numbers = (values(part)[0] for part in found)
        assert (scores[:8] >= 1).all() and (scores[8:] == 0).all()
        assert len(set(numbers)) == 11 and not {16, 17} & set(numbers)
        counts[numbers[:4]] += 1
    # 50 of 100 each, with a deviation of 5.
    alive = np.arange(18).reshape(9, 2)[[0, 2, 4, 6]].ravel()
    assert (abs(counts[alive] - 50) < 25).all() and counts.sum() == 400
    assert counts[alive].sum() == 400


def test_draws_of_a_row(size_of_a_stripe):
    """Row 1 is looked up with one gradient of 0, row 2 never."""
    upstream = np.array([[0, -1, 4, 2], [3, 0, 1e-6, 9]], "float32")
    indices, columns = np.array([0, 1], "int32"), np.array([[3], [4], [4]])
    arrays = [ops.convert_to_tensor(a) for a in (indices, upstream)]
    columns = ops.convert_to_tensor(columns.astype("uint8"))
    first = np.zeros((3, 4), int)
    for key in keys(100):
        scores, numbers = map(
            values, stripes.largest_in_rows(*arrays, columns, 4, 3, key)
        )
        assert (scores[0, :2] >= 1).all() and (scores[1] >= 1).all()
        assert (scores[0, 2], *scores[2]) == (0, 0, 0, 0)
        assert set(numbers[0]) == {0, 1, 2} and set(numbers[1]) == {0, 2, 3}
        first[np.arange(3), numbers[:, 0]] += 1
    assert (abs(first[0, 1:3] - 50) < 25).all()
    assert (abs(first[1, [0, 2, 3]] - 33) < 25).all()
    # Those without a gradient in any order, too.
    assert (abs(first[2] - 25) < 25).all()


def test_gradients_that_are_not_finite_are_seen_when_drawn():
    arrays = [[[np.nan, 1]], [[1.0]], [[2]], [[False]]]
    types = ("float32", "float32", "int32", "bool")
    scores, _ = stripes.largest_blocks(
        *map(ops.convert_to_tensor, map(np.array, arrays, types)),
        Grouping((2, 1), (1, 1)),
        1,
        ops.convert_to_tensor(np.uint32(1)),
    )
    assert np.isinf(values(scores))


def numbers_like(generator, shape):
    """Small integers: sums are exact, and many are equal."""
    return generator.integers(-2, 3, shape).astype("float32")


def expected(scores, taken, number):
    """By sorting all of them."""
    scores = np.where(taken, -1, scores)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :number]
    return np.take_along_axis(scores, order, axis=1), order


@settings(max_examples=NUMBER)
@given(
    st.integers(1, 5),
    st.integers(1, 7),
    st.sampled_from([(1, 1), (2, 1), (4, 2)]),
    st.sampled_from([1, 8, 30, 2**18]),
    st.integers(0, 99),
)
def test_blocks(num_rows, num_bins, block, stripe, seed):
    generator = np.random.default_rng(seed)
    shape = num_rows * block[0], num_bins * block[1]
    grouping = Grouping(shape, block)
    number = generator.integers(1, num_rows + 1)
    inputs = numbers_like(generator, (3, shape[0]))
    upstream = numbers_like(generator, (3, shape[1]))
    index = np.argsort(generator.random((num_bins, num_rows)), axis=1)
    index = index[:, :number].astype("int32")
    active = generator.random(index.shape) < 0.5
    taken = np.zeros((num_bins, num_rows), "bool")
    np.put_along_axis(taken, index, active, axis=1)
    means = np.abs(grouping.groups(inputs.T @ upstream)).mean(axis=1)
    before, stripes.STRIPE = stripes.STRIPE, stripe
    try:
        found = stripes.largest_blocks(
            *map(ops.convert_to_tensor, (inputs, upstream, index, active)),
            grouping,
            int(number),
        )
    finally:
        stripes.STRIPE = before
    means = means.reshape(num_rows, num_bins).T
    scores, numbers = expected(means, taken, number)
    np.testing.assert_array_equal(values(found[0]), scores)
    is_free = scores >= 0
    np.testing.assert_array_equal(values(found[1])[is_free], numbers[is_free])


@needs_tensorflow
@settings(max_examples=NUMBER)
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.floats(0, 1),
    st.sampled_from([1, 8, 30, 2**18]),
    st.integers(0, 99),
)
def test_weights(num_rows, num_columns, density, stripe, seed):
    generator = np.random.default_rng(seed)
    shape = num_rows, num_columns
    inputs = numbers_like(generator, (3, num_rows))
    upstream = numbers_like(generator, (3, num_columns))
    taken = generator.random(shape) < density
    number = int(generator.integers(1, taken.size + 1))
    at = [ops.convert_to_tensor(part, "int32") for part in np.nonzero(taken)]
    before, stripes.STRIPE = stripes.STRIPE, stripe
    try:
        found = stripes.largest_weights(
            ops.convert_to_tensor(inputs),
            ops.convert_to_tensor(upstream),
            *at,
            shape,
            number,
        )
    finally:
        stripes.STRIPE = before
    whole = np.abs(inputs.T @ upstream).reshape(1, -1)
    scores, numbers = expected(whole, taken.reshape(1, -1), number)
    np.testing.assert_array_equal(values(found[0]), scores)
    is_free = scores >= 0
    np.testing.assert_array_equal(values(found[1])[is_free], numbers[is_free])


def test_what_is_not_finite_comes_first():
    inputs = np.array([[1, np.nan, 2, np.inf]], "float32")
    scores, numbers = stripes.largest_blocks(
        ops.convert_to_tensor(inputs),
        ops.ones((1, 1)),
        ops.zeros((1, 1), "int32"),
        ops.zeros((1, 1), "bool"),
        Grouping((4, 1), (1, 1)),
        3,
    )
    assert values(scores).tolist() == [[np.inf, np.inf, 2]]
    assert values(numbers).tolist() == [[1, 3, 2]]
