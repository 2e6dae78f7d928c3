"""Products with a matrix by its active weights and their places."""

import numpy as np
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from dsr_tf.core import list_product
from tests.conftest import needs_tensorflow

pytestmark = needs_tensorflow


@settings(max_examples=20)
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.floats(0, 1),
    st.integers(0, 3),
    st.sampled_from([1, 4, 4096]),
    st.integers(0, 99),
)
def test_the_product(rows, columns, density, num_empty, chunk, seed):
    """It and both of its gradients are those of the whole matrix."""
    import tensorflow as tf

    generator = np.random.default_rng(seed)
    mask = generator.random((rows, columns)) < density
    whole = mask * generator.normal(size=mask.shape)
    x = generator.normal(size=(5, rows))
    upstream = generator.normal(size=(5, columns))
    at = [tf.constant(part, "int32") for part in np.nonzero(mask)]
    # What lies in empty slots is of no account.
    stored = np.concatenate([whole[mask], np.ones(num_empty)])
    before, list_product.CHUNK = list_product.CHUNK, chunk
    try:
        outputs, *gradients = gradients_of(
            lambda x, v: list_product.multiply(x, v, *at, mask.shape),
            upstream,
            x,
            stored,
        )
    finally:
        list_product.CHUNK = before
    np.testing.assert_allclose(outputs, x @ whole, atol=1e-12)
    np.testing.assert_allclose(gradients[0], upstream @ whole.T, atol=1e-12)
    number = np.count_nonzero(mask)
    np.testing.assert_allclose(
        gradients[1][:number], (x.T @ upstream)[mask], atol=1e-12
    )
    assert not gradients[1][number:].any()


def gradients_of(product, upstream, *arrays):
    import tensorflow as tf

    @tf.function
    def compute(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            outputs = product(*tensors)
        return outputs, *tape.gradient(outputs, tensors, upstream)

    return [t.numpy() for t in compute(*map(tf.constant, arrays))]
