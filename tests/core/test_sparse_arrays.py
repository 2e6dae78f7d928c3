import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from dsr_tf.core import sparse_arrays


@pytest.mark.parametrize("gap", [0, 1, 253, 254, 255, 256, 509, 510, 511, 9999])
def test_gaps_around_the_skip_code(gap):
    mask = np.zeros(gap + 2, "bool")
    mask[[gap, gap + 1]] = True
    gaps = sparse_arrays.pack_positions(mask)
    found = sparse_arrays.unpack_positions(gaps, mask.size)
    np.testing.assert_array_equal(found, [gap, gap + 1])


@given(st_numpy.arrays("bool", st.integers(0, 2000)))
def test_any_mask(mask):
    gaps = sparse_arrays.pack_positions(mask)
    found = sparse_arrays.unpack_positions(gaps, mask.size)
    np.testing.assert_array_equal(found, np.flatnonzero(mask))


def test_all_active_takes_a_bit_each():
    gaps = sparse_arrays.pack_positions(np.ones(80_000, "bool"))
    assert len(gaps) < 10_000 + 100


def test_damage_is_told():
    gaps = sparse_arrays.pack_positions(np.arange(1000) % 7 == 0)
    for damaged in (gaps[:-9], b"", b"no zlib"):
        with pytest.raises(ValueError, match="positions are damaged"):
            sparse_arrays.unpack_positions(damaged, 1000)
    with pytest.raises(ValueError, match="position 994 of 900 places"):
        sparse_arrays.unpack_positions(gaps, 900)


# Zeros in nine of ten places, and the values that are hard to keep.
HARD = [0.0, -0.0, np.inf, np.nan, 1e-45, -3.5]


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "int64"])
def test_arrays_come_back_to_the_bit(dtype):
    array = np.zeros((40, 60), dtype)
    values = HARD if dtype != "int64" else [7, -1]
    array.reshape(-1)[np.arange(len(values)) * 311] = values
    store = {}
    sparse_arrays.put(store, "a", array)
    assert set(store) == {"a.gaps", "a.values"}
    found = sparse_arrays.get(store, "a", array.shape)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(
        sparse_arrays.bits_of(found), sparse_arrays.bits_of(array)
    )


def test_masks_need_no_values():
    mask = np.arange(5000).reshape(50, 100) % 9 == 0
    store = {}
    sparse_arrays.put(store, "mask", mask)
    assert set(store) == {"mask.gaps"}
    found = sparse_arrays.get(store, "mask", mask.shape)
    np.testing.assert_array_equal(found, mask)


@pytest.mark.parametrize("array", [np.ones(7), np.zeros(0), np.float32(3)])
def test_other_arrays_stay_as_they_are(array):
    store = {}
    sparse_arrays.put(store, "a", np.asarray(array))
    assert set(store) == {"a"}
    np.testing.assert_array_equal(
        sparse_arrays.get(store, "a", np.shape(array)), array
    )
    assert sparse_arrays.names(store) == {"a"}


def test_values_that_are_missing_are_told():
    store = {}
    sparse_arrays.put(store, "a", np.eye(100))
    store["a.values"] = store["a.values"][:-1]
    with pytest.raises(ValueError, match="100 positions and 99 values"):
        sparse_arrays.get(store, "a", (100, 100))


@pytest.mark.parametrize("as_array", [False, True])
def test_a_bomb_is_refused_before_it_is_unpacked(as_array):
    """A megabyte that would become a gigabyte of codes."""
    bomb = zlib.compress(bytes(1 << 27))
    gaps = np.frombuffer(bomb, "uint8") if as_array else bomb
    tracemalloc.start()
    with pytest.raises(ValueError, match="positions are damaged"):
        sparse_arrays.unpack_positions(gaps, 1_000_000)
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()


def test_more_bytes_than_the_places_can_take_are_not_read():
    class Claims:
        shape = (1 << 40,)

        def __array__(self, dtype=None, copy=None):
            raise AssertionError("was read")

    with pytest.raises(ValueError, match="1099511627776 bytes for 100 places"):
        sparse_arrays.unpack_positions(Claims(), 100)


@pytest.mark.parametrize("shape", [(-5, -20), (0,), (7,)])
def test_a_shape_that_does_not_fit_is_told(shape):
    store = {}
    sparse_arrays.put(store, "a", np.eye(10))
    with pytest.raises(ValueError):
        sparse_arrays.get(store, "a", shape)


def test_bytes_after_the_end_are_told():
    gaps = sparse_arrays.pack_positions(np.eye(9))
    with pytest.raises(ValueError, match="positions are damaged"):
        sparse_arrays.unpack_positions(gaps + b"x", 81)
