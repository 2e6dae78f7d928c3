import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from dsr_tf.export import packing


def round_trip(values):
    packed = packing.pack(values)
    return packing.unpack(*packed, values.size).numpy()


@pytest.mark.parametrize("gap", [0, 1, 253, 254, 255, 256, 509, 510, 511, 9999])
def test_gaps_around_the_skip_code(gap):
    values = np.zeros(gap + 2, "float32")
    values[[gap, gap + 1]] = [1.5, -2.5]
    np.testing.assert_array_equal(round_trip(values), values)


@pytest.mark.parametrize("size", [0, 1, 700])
def test_nothing_but_zeros(size):
    values = np.zeros(size, "float32")
    np.testing.assert_array_equal(round_trip(values), values)


@given(
    st_numpy.arrays(
        "float32",
        st.integers(1, 3000),
        elements=st.floats(width=32, allow_nan=False),
        fill=st.just(0.0),
    )
)
def test_any_array(values):
    np.testing.assert_array_equal(round_trip(values), values)


def test_size_is_near_the_entropy():
    """Gaussian weights at density 0.1, in bits a weight."""
    generator = np.random.default_rng(0)
    values = generator.normal(size=10**6).astype("float32")
    values[generator.random(10**6) >= 0.1] = 0
    size = sum(len(part) for part in packing.pack(values))
    entropy = -(0.1 * np.log2(0.1) + 0.9 * np.log2(0.9))
    bound = (32 * 0.1 + entropy) * 10**6 / 8
    assert size < 0.9 * bound
