"""SavedModels that multiply as layers do that store active weights only."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dsr_tf
from dsr_tf.export import products
from dsr_tf.export.block_matmul import BlockKernel
from dsr_tf.export.formats.saved_model import FORMAT
from dsr_tf.export.sparse_matmul import SparseKernel
from dsr_tf.layers import masked_weights
from tests.conftest import values


def dense():
    inputs = keras.Input((96,), name="x")
    x = keras.layers.Dense(64, activation="relu")(inputs)
    return keras.Model(inputs, keras.layers.Dense(48)(x))


def sequence():
    """Dense kernels of inputs of more axes, and projections."""
    inputs = keras.Input((6, 32), name="x")
    x = keras.layers.MultiHeadAttention(4, 8)(inputs, inputs)
    return keras.Model(inputs, keras.layers.Dense(64)(x))


def pointwise():
    inputs = keras.Input((6, 6, 32), name="x")
    x = keras.layers.Conv2D(64, 1, strides=2, activation="relu")(inputs)
    return keras.Model(inputs, keras.layers.Conv2D(48, 1)(x))


KINDS = {
    "blocks": ("block:16", BlockKernel),
    "lists": ("element", SparseKernel),
}


def sparse(make, storage, sparsity=0.7):
    keras.utils.set_random_seed(0)
    granularity, _ = KINDS[storage]
    model = dsr_tf.sparsify(
        make(),
        sparsity,
        granularity=granularity,
        storage=storage,
        seed=0,
    )
    for weight in masked_weights(model):
        bias = getattr(weight.layer, "bias", None)
        if bias is not None:
            bias.assign(np.linspace(-1, 1, bias.shape[-1]) + bias * 0)
    return model


def inputs_of(model, number=20):
    shape = (number, *model.input_shape[1:])
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def served(path, x):
    loaded = tf.saved_model.load(path)
    signature = loaded.signatures["serving_default"]
    (outputs,) = signature(x=tf.constant(x)).values()
    return outputs.numpy(), signature


def sizes_in(signature):
    graph = signature.graph
    graphs = [graph, *(f.graph for f in graph._functions.values())]
    return {
        output.shape.num_elements()
        for graph in graphs
        for operation in graph.get_operations()
        for output in operation.outputs
        if output.shape.is_fully_defined()
    }


@pytest.mark.parametrize("make", [dense, sequence, pointwise])
@pytest.mark.parametrize("storage", KINDS)
def test_outputs(storage, make, tmp_path):
    """Of few and of many examples, which are multiplied in other ways."""
    model = sparse(make, storage)
    dsr_tf.export.saved_model(model, tmp_path / "m")
    for number in (2, 20):
        x = inputs_of(model, number)
        outputs, _ = served(tmp_path / "m", x)
        np.testing.assert_allclose(outputs, values(model(x)), atol=2e-5)
    kinds = products.chosen(model, "auto")
    assert set(kinds.values()) == {KINDS[storage][1]}
    assert len(kinds) == len(masked_weights(model))


@pytest.mark.parametrize("storage", KINDS)
def test_no_dense_kernel_is_there(storage, tmp_path):
    model = sparse(dense, storage)
    x = inputs_of(model)
    sizes = {}
    for mode in ("auto", "never"):
        dsr_tf.export.saved_model(model, tmp_path / mode, sparse_matmul=mode)
        outputs, signature = served(tmp_path / mode, x)
        expected = model.predict(x, verbose=0)
        np.testing.assert_allclose(outputs, expected, atol=2e-5)
        sizes[mode] = sizes_in(signature)
    assert max(sizes["never"]) >= 96 * 64
    assert max(sizes["auto"]) < 96 * 64


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_rounded_blocks(kind, tmp_path):
    model = sparse(dense, "blocks")
    x = inputs_of(model)
    dsr_tf.export.saved_model(model, tmp_path / "m", values=kind)
    outputs, _ = served(tmp_path / "m", x)
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(outputs, expected, rtol=0.05, atol=0.05)
    assert not np.allclose(outputs, expected, rtol=1e-6, atol=1e-6)


def test_half_precision(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = sparse(dense, "blocks")
    finally:
        keras.config.set_dtype_policy("float32")
    x = inputs_of(model)
    dsr_tf.export.saved_model(model, tmp_path / "m")
    outputs, _ = served(tmp_path / "m", x)
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(outputs, expected, rtol=0.01, atol=0.01)


def test_blocks_without_weights(tmp_path):
    """A kernel that is all zeros is stored as such."""
    model = sparse(dense, "blocks")
    variable = masked_weights(model)[0].variable
    variable.kernel.assign(0 * variable.kernel)
    x = inputs_of(model)
    dsr_tf.export.saved_model(model, tmp_path / "m")
    outputs, _ = served(tmp_path / "m", x)
    np.testing.assert_allclose(outputs, model.predict(x, verbose=0), atol=2e-5)


def test_what_is_served_so_is_said():
    options = {o.name: o.default for o in FORMAT.options}
    model = sparse(dense, "blocks")
    paths = [weight.path for weight in masked_weights(model)]
    assert FORMAT.report(model, options).notes == tuple(
        ("product of blocks", f"{path}: faster on a CPU") for path in paths
    )
