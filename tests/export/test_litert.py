"""LiteRT files of batches of one size, and what is stored sparse."""

import collections

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from tensorflow.lite.python import schema_py_generated as schema

import dsr_tf
from dsr_tf import models
from dsr_tf.command_line import UsageError
from dsr_tf.export import registry
from tests.conftest import outputs_of

Operator = schema.BuiltinOperator


def test_operations_that_the_runtime_lacks_are_told(tmp_path):
    model = keras.Sequential(
        [keras.Input((5, 3)), keras.layers.LSTM(4), keras.layers.Dense(2)]
    )
    path = str(tmp_path / "recurrent.tflite")
    dsr_tf.export.litert(dsr_tf.sparsify(model, 0.5, seed=0), path)
    with pytest.raises(
        UsageError, match="loaded .it needs TensorFlow.*Flex delegate has"
    ):
        registry.load("model", path)


def graph_of(path):
    """What a file holds, its graph, and the operator of each node."""
    content = path.read_bytes()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    (graph,) = model.subgraphs
    codes = [code.builtinCode for code in model.operatorCodes]
    return model, graph, [codes[n.opcodeIndex] for n in graph.operators]


def input_shapes(path):
    _, graph, _ = graph_of(path)
    tensors = [graph.tensors[index] for index in graph.inputs]
    return [
        list(t.shape if t.shapeSignature is None else t.shapeSignature)
        for t in tensors
    ]


def small():
    """Flattened, so that a graph for three inputs does not take others."""
    return keras.Sequential(
        [
            keras.Input((4, 4, 2), name="image"),
            keras.layers.Conv2D(8, 3),
            keras.layers.Flatten(),
            dsr_tf.layers.SparseDense(5, 0.8, seed=0),
        ]
    )


@pytest.mark.parametrize("batch_size", [None, 3])
def test_batches(batch_size, tmp_path):
    """One size is in the file; what loads it takes any number all the same."""
    model, path = small(), tmp_path / "m.tflite"
    dsr_tf.export.litert(model, path, batch_size=batch_size)
    assert input_shapes(path) == [[batch_size or -1, 4, 4, 2]]
    loaded = registry.load("model", str(path))
    assert loaded.input_shape == (None, 4, 4, 2)
    images = np.random.default_rng(0).normal(size=(7, 4, 4, 2))
    images = images.astype("float32")
    for number in (1, 3, 7):
        np.testing.assert_allclose(
            loaded.predict(images[:number]),
            outputs_of(model, images[:number]),
            rtol=1e-5,
            atol=1e-6,
        )


def test_batches_of_several_inputs(tmp_path):
    """Each by its name."""
    inputs = {n: keras.Input((3,), name=n) for n in ("left", "right")}
    x = keras.layers.Concatenate()([inputs["left"], inputs["right"]])
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    path = tmp_path / "m.tflite"
    dsr_tf.export.litert(model, path, batch_size=2)
    assert input_shapes(path) == [[2, 3], [2, 3]]
    runner = Interpreter(str(path)).get_signature_runner()
    values = {n: np.full((2, 3), i, "float32") for i, n in enumerate(inputs)}
    (found,) = runner(**values).values()
    np.testing.assert_allclose(found, model.predict_on_batch(values), rtol=1e-5)


@pytest.mark.parametrize("batch_size", [0, -1, 1.0, True, "1"])
def test_batches_of_no_size(batch_size, tmp_path):
    with pytest.raises(ValueError, match="positive integer or None. Received"):
        dsr_tf.export.litert(
            small(), tmp_path / "m.tflite", batch_size=batch_size
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_mobilenet_has_the_form_that_sparse_kernels_take(tmp_path):
    """That of docs/export.md, and nothing else."""
    model = dsr_tf.sparsify(
        models.mobilenet((32, 32, 3), 10, width=0.25),
        0.9,
        filters=lambda layer: layer.name.endswith("_conv"),
        seed=0,
    )
    path = tmp_path / "m.tflite"
    dsr_tf.export.litert(model, path, batch_size=1)
    file, graph, operators = graph_of(path)
    # Normalizations are in the kernels, borders of stride 1 in the windows.
    assert collections.Counter(operators) == {
        Operator.PAD: 5,
        Operator.CONV_2D: 14,
        Operator.DEPTHWISE_CONV_2D: 13,
        Operator.DENSIFY: 13,
        Operator.MEAN: 1,
        Operator.FULLY_CONNECTED: 1,
    }
    stored = [t for t in graph.tensors if t.sparsity is not None]
    assert [list(t.shape[1:3]) for t in stored] == 13 * [[1, 1]]
    borders = {
        file.buffers[graph.tensors[node.inputs[1]].buffer].data.tobytes()
        for node, operator in zip(graph.operators, operators)
        if operator == Operator.PAD
    }
    (border,) = (np.frombuffer(border, "int32") for border in borders)
    assert border.tolist() == [0, 0, 1, 1, 1, 1, 0, 0]
