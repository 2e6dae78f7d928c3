"""Products with matrices of stored blocks."""

from unittest import mock

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from keras import ops

from dsr_tf.core import block_product
from tests.conftest import needs_tensorflow


# JAX compiles each shape.
@settings(
    max_examples=40 if keras.backend.backend() == "tensorflow" else 15,
    deadline=None,
)
@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from([1, 5, block_product.FEW + 1]),
    st.booleans(),
    st.sampled_from([3, 16384]),
    st.booleans(),
    st.integers(0, 99),
)
def test_the_product(
    rows, columns, height, width, batch, by_rows, at_once, traced, seed
):
    """In each layout, of all blocks at once or some, outputs and gradients
    are those of the whole matrix."""
    generator = np.random.default_rng(seed)
    slots = int(generator.integers(1, rows + 1))
    index = np.stack(
        [generator.permutation(rows)[:slots] for _ in range(columns)]
    ).astype("int32")
    active = generator.random((columns, slots)) < 0.7
    kernel = generator.normal(size=(columns, slots, height, width))
    kernel[~active] = 0
    kernel = kernel.astype("float32")
    whole = np.zeros((rows, height, columns, width), "float32")
    for column, (places, weights) in enumerate(zip(index, kernel)):
        whole[places, :, column] = weights
    whole = whole.reshape(rows * height, columns * width)
    x = generator.normal(size=(batch, rows * height)).astype("float32")
    upstream = generator.normal(size=(batch, columns * width))
    upstream = upstream.astype("float32")
    flat = kernel.reshape(columns, slots * height, width)

    def loss(x, kernel, upstream):
        product = block_product.multiply(
            x, kernel, ops.convert_to_tensor(index), active, by_rows
        )
        return ops.sum(product * upstream), product

    # A single block of inputs by a product, several by additions, or all so.
    few = 1 if at_once == 3 else block_product.FEW_INPUTS
    with (
        mock.patch.object(block_product, "ROWS_AT_ONCE", at_once),
        mock.patch.object(block_product, "FEW_INPUTS", few),
    ):
        outputs, d_x, d_kernel = gradients_of(loss, traced, x, flat, upstream)
    np.testing.assert_allclose(outputs, x @ whole, atol=2e-5)
    np.testing.assert_allclose(d_x, upstream @ whole.T, atol=2e-5)
    d_whole = (x.T @ upstream).reshape(rows, height, columns, width)
    d_kernel = d_kernel.reshape(columns, slots, height, width)
    assert not d_kernel[~active].any()
    for column in range(columns):
        used = active[column]
        np.testing.assert_allclose(
            d_kernel[column][used],
            d_whole[index[column][used], :, column],
            atol=2e-5,
        )


def gradients_of(loss, traced, x, kernel, upstream):
    """Outputs and gradients; of batches whose size is not known in
    tracing, where TensorFlow traces."""
    if keras.backend.backend() == "jax":
        import jax

        (_, outputs), found = jax.value_and_grad(
            loss, argnums=(0, 1), has_aux=True
        )(x, kernel, upstream)
        return [ops.convert_to_numpy(array) for array in (outputs, *found)]
    import tensorflow as tf

    def all_of_it(x, kernel, upstream):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            value, outputs = loss(x, kernel, upstream)
        return outputs, *tape.gradient(value, [x, kernel])

    if traced:
        of_any_size = [
            tf.TensorSpec((None, x.shape[1])),
            tf.TensorSpec(kernel.shape),
            tf.TensorSpec((None, upstream.shape[1])),
        ]
        all_of_it = tf.function(all_of_it, input_signature=of_any_size)
    return [
        ops.convert_to_numpy(array)
        for array in all_of_it(*map(tf.constant, (x, kernel, upstream)))
    ]


@needs_tensorflow
@pytest.mark.parametrize("jit", [False, True])
def test_what_is_gathered_is_never_all(jit):
    """Of 16 blocks of outputs, 4 at a time."""
    import tensorflow as tf

    kernel = tf.random.normal((16, 2 * 8, 8))
    index = tf.random.uniform((16, 2), maxval=4, dtype="int32")
    active = tf.ones((16, 2), "bool")

    @tf.function(jit_compile=jit)
    def step(x, kernel):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            outputs = block_product.multiply(x, kernel, index, active, False)
        return outputs, *tape.gradient(outputs, [x, kernel])

    x = tf.random.normal((20, 32))
    with mock.patch.object(block_product, "ROWS_AT_ONCE", 4 * 16):
        some = step(x, kernel)
        graph = step.get_concrete_function(x, kernel).graph
    sizes = {
        output.shape.num_elements()
        for traced in (graph, *(f.graph for f in graph._functions.values()))
        for operation in traced.get_operations()
        for output in operation.outputs
        if output.dtype == tf.float32 and output.shape.is_fully_defined()
    }
    assert 4 * 16 * 20 in sizes and 16 * 16 * 20 not in sizes
    with mock.patch.object(block_product, "ROWS_AT_ONCE", 16384):
        step = tf.function(step.python_function)
        for part, whole in zip(some, step(x, kernel)):
            np.testing.assert_allclose(part, whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("num_inputs", [2, block_product.FEW_INPUTS + 1])
@pytest.mark.parametrize("by_rows", [True, False])
def test_gradients_of_half_precision_are_added_in_single(by_rows, num_inputs):
    """600 blocks read the same two inputs: 256 + 1 is 256 in bfloat16."""
    index = ops.zeros((600, 1), "int32")
    active = ops.ones((600, 1), "bool")

    def loss(x, kernel, upstream):
        product = block_product.multiply(x, kernel, index, active, by_rows)
        return ops.sum(product * upstream), product

    _, d_x, _ = gradients_of(
        loss,
        False,
        ops.zeros((20, 2 * num_inputs), "bfloat16"),
        ops.ones((600, 2, 2), "bfloat16"),
        ops.ones((20, 1200), "bfloat16"),
    )
    assert d_x[0, :3].astype("float32").tolist() == [1200, 1200, 0]
