import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from dsr_tf.export import packing


def round_trip(values, *narrow):
    packed = packing.pack(values, *narrow)
    return packing.unpack(**packed.parts, packed=packed).numpy()


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
    size = sum(len(part) for part in packing.pack(values).parts.values())
    entropy = -(0.1 * np.log2(0.1) + 0.9 * np.log2(0.9))
    bound = (32 * 0.1 + entropy) * 10**6 / 8
    assert size < 0.9 * bound


@pytest.mark.parametrize("narrow", ["float16", "bfloat16"])
def test_values_in_two_bytes(narrow):
    """The first values in two bytes, the others in four."""
    generator = np.random.default_rng(0)
    values = generator.normal(size=1000).astype("float32")
    values[generator.random(1000) < 0.5] = 0
    values[:5] = [1e-7, -6e-8, 0, 1, -65504]
    values[:600] = values[:600].astype(packing.DTYPES[narrow])
    packed = packing.pack(values, narrow, 600)
    assert packed.num_narrow == np.count_nonzero(values[:600])
    assert packed.num_wide == np.count_nonzero(values[600:])
    np.testing.assert_array_equal(round_trip(values, narrow, 600), values)
