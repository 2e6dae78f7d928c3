import os

import keras
import numpy as np
import pytest
import tensorflow as tf

import dsr_tf
from dsr_tf import layers
from dsr_tf.export import products
from dsr_tf.export import registry
from dsr_tf.export import target
from dsr_tf.models import lenet_300_100
from tests.conftest import make_model
from tests.conftest import outputs_of
from tests.conftest import values

IMAGES = np.random.default_rng(0).normal(size=(5, 28, 28, 1)).astype("float32")


def serve(path, *inputs):
    loaded = tf.saved_model.load(str(path))
    return [value.numpy() for value in loaded.serve(*inputs).values()]


def test_size_follows_the_active_weights(tmp_path):
    dense = lenet_300_100()
    sizes = []
    for sparsity in (0.9, 0.95):
        model = dsr_tf.sparsify(dense, sparsity, seed=0)
        dsr_tf.export.saved_model(model, tmp_path / str(sparsity))
        sizes.append(target.size(tmp_path / str(sparsity)))
    dense_bytes = 4 * dense.count_params()
    assert sizes[0] < dense_bytes / 7.7
    assert sizes[1] < dense_bytes / 12
    assert sorted(os.listdir(tmp_path)) == ["0.9", "0.95"]


def test_several_inputs_and_outputs_random_layers_and_integers(tmp_path):
    words = keras.Input((4,), dtype="int32", name="words")
    numbers = keras.Input((6,), name="numbers")
    x = keras.layers.Flatten()(layers.SparseEmbedding(9, 3, 0.5)(words))
    y = keras.layers.Dropout(0.5)(layers.SparseDense(5, 0.5)(numbers))
    z = keras.layers.Concatenate()([x, y])
    heads = [
        keras.layers.Dense(2, name="first")(z),
        keras.layers.Dense(1, name="second")(z),
    ]
    model = keras.Model([words, numbers], heads)
    dsr_tf.export.saved_model(model, tmp_path / "m")
    inputs = np.ones((3, 4), "int32"), np.ones((3, 6), "float32")
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    outputs = loaded.signatures["serving_default"](
        words=tf.constant(inputs[0]), numbers=tf.constant(inputs[1])
    )
    for name, expected in zip(("first", "second"), model(list(inputs))):
        np.testing.assert_allclose(outputs[name], expected, rtol=1e-6)


def test_loops_and_attention(tmp_path):
    """Graphs that are made of many functions, by two loaders."""
    words = keras.Input((12,), dtype="int32", name="words")
    x = layers.SparseEmbedding(50, 16, 0.5, seed=0)(words)
    x = keras.layers.Bidirectional(keras.layers.LSTM(8, return_sequences=True))(
        x
    )
    x = keras.layers.MultiHeadAttention(2, 4)(x, x)
    x = keras.layers.GlobalAveragePooling1D()(x)
    model = keras.Model(words, layers.SparseDense(3, 0.5, seed=1)(x))
    dsr_tf.export.saved_model(model, tmp_path / "m")
    batch = np.random.default_rng(0).integers(0, 50, (4, 12)).astype("int32")
    expected = outputs_of(model, batch)
    np.testing.assert_array_equal(serve(tmp_path / "m", batch)[0], expected)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.load(
            session, ["serve"], str(tmp_path / "m")
        )
        signature = meta.signature_def["serving_default"]
        (output,) = signature.outputs.values()
        found = session.run(
            output.name, {signature.inputs["words"].name: batch}
        )
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16", "float64"])
def test_other_precisions(policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    model = keras.Sequential(
        [keras.Input((6,)), layers.SparseDense(5, 0.5), keras.layers.Dense(2)]
    )
    dsr_tf.export.saved_model(model, tmp_path / "m")
    x = np.random.default_rng(0).normal(size=(3, 6))
    x = tf.cast(x, model.inputs[0].dtype)
    (output,) = serve(tmp_path / "m", x)
    np.testing.assert_array_equal(output, outputs_of(model, x))


@pytest.mark.parametrize(
    "values, sparse_matmul", [("float16", "always"), ("bfloat16", "never")]
)
def test_values_in_two_bytes(values, sparse_matmul, tmp_path):
    """Kernels are rounded, biases and all else are not."""
    model = dsr_tf.sparsify(lenet_300_100(), 0.9, seed=0)
    rounded = keras.models.clone_model(model)

    def rounds(w):
        # Kernels that are part of the blob, where they fill rows of 16.
        return w.ndim > 1 and (sparse_matmul == "always" or w.size % 16 == 0)

    rounded.set_weights(
        [
            tf.cast(tf.cast(w, values), w.dtype) if rounds(w) else w
            for w in model.get_weights()
        ]
    )
    sizes = []
    for name, dtype in (("wide", "float32"), ("narrow", values)):
        dsr_tf.export.saved_model(
            model, tmp_path / name, values=dtype, sparse_matmul=sparse_matmul
        )
        sizes.append(target.size(tmp_path / name))
    assert sizes[1] < 0.8 * sizes[0]
    np.testing.assert_allclose(
        serve(tmp_path / "narrow", IMAGES)[0],
        outputs_of(rounded, IMAGES),
        rtol=1e-4,
        atol=1e-5,
    )


def test_a_weight_too_large_for_two_bytes(tmp_path):
    model = keras.Sequential(
        [keras.Input((4,)), layers.SparseDense(8, 0.5, name="d", seed=0)]
    )
    weight = model.layers[0].masked_variables["kernel"].kernel
    weight.assign(keras.ops.where(values(weight) != 0, 1e5, 0.0))
    with pytest.raises(ValueError, match="float16 cannot hold the.*d/kernel"):
        dsr_tf.export.saved_model(model, tmp_path / "m", values="float16")
    assert os.listdir(tmp_path) == []
    dsr_tf.export.saved_model(model, tmp_path / "m", values="bfloat16")


def test_sparse_products(tmp_path):
    """Large, very sparse Dense layers, also of sequences, stay sparse."""
    model = keras.Sequential(
        [
            keras.Input((3, 1024)),
            layers.SparseDense(1024, 0.97, activation="relu", seed=0),
            layers.SparseDense(1024, 0.8, use_bias=False, seed=1),
            layers.SparseDense(7, 0.97, seed=2),
        ]
    )
    paths = [weight.path for weight in dsr_tf.masked_weights(model)]
    assert list(products.chosen(model, "auto")) == paths[:1]
    assert list(products.chosen(model, "always")) == paths
    assert not products.chosen(model, "never")
    generator = np.random.default_rng(0)
    batches = [
        generator.normal(size=(number, 3, 1024)).astype("float32")
        for number in (1, 3, 4, 40)
    ]
    for mode in ("auto", "always"):
        dsr_tf.export.saved_model(model, tmp_path / mode, sparse_matmul=mode)
        for inputs in batches:
            np.testing.assert_allclose(
                serve(tmp_path / mode, inputs)[0],
                outputs_of(model, inputs),
                rtol=1e-4,
                atol=1e-5,
            )


def test_tied_kernels_are_written_out(tmp_path):
    """Not as tables of positions, which are larger than the kernels."""
    dense = lenet_300_100()
    model = dsr_tf.tie(dense, 0.9, seed=0)
    dsr_tf.export.saved_model(model, tmp_path / "m")
    assert target.size(tmp_path / "m") < 4 * dense.count_params()
    np.testing.assert_array_equal(
        serve(tmp_path / "m", IMAGES)[0], outputs_of(model, IMAGES)
    )


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.SparseDense(3, 0.5, seed=0)

    def call(self, x):
        return self.dense(x)


def test_a_subclassed_model_needs_its_inputs(tmp_path):
    model = Subclassed()
    x = np.ones((2, 4), "float32")
    expected = model(x)
    with pytest.raises(ValueError, match="Give `input_signature`"):
        dsr_tf.export.saved_model(model, tmp_path / "m")
    assert not (tmp_path / "m").exists()
    dsr_tf.export.saved_model(
        model, tmp_path / "m", tf.TensorSpec((None, 4), name="x")
    )
    np.testing.assert_array_equal(serve(tmp_path / "m", x)[0], expected)


@pytest.mark.parametrize(
    ("export", "name"),
    [(dsr_tf.export.litert, "m.tflite"), (dsr_tf.export.onnx, "m.onnx")],
)
def test_a_subclassed_model_is_told_how_it_gets_inputs(export, name, tmp_path):
    class OfDense(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x):
            return self.dense(x)

    x = np.ones((2, 4), "float32")
    dense = OfDense()
    dense(x)
    model = dsr_tf.sparsify(dense, 0.5, seed=0)
    model.compile("sgd", "mse")
    model.fit(x, np.ones((2, 3)), verbose=0)
    with pytest.raises(ValueError, match="does not know its inputs.*: wrap"):
        export(model, tmp_path / name)
    inputs = keras.Input((4,))
    export(keras.Model(inputs, model(inputs)), tmp_path / name)
    found = registry.load("model", str(tmp_path / name)).predict(x)
    np.testing.assert_allclose(found, model(x), rtol=1e-6)


def test_nothing_is_overwritten(tmp_path):
    model = keras.Sequential([keras.Input((3,)), layers.SparseDense(2, 0.5)])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "full", tmp_path / "file"):
        with pytest.raises(ValueError, match="does not exist or is empty"):
            dsr_tf.export.saved_model(model, path)
    assert (tmp_path / "full" / "file").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    dsr_tf.export.saved_model(model, tmp_path / "empty")
    assert sorted(os.listdir(tmp_path)) == ["empty", "file", "full"]


def test_other_things_are_refused(tmp_path):
    with pytest.raises(TypeError, match="takes a Keras model"):
        dsr_tf.export.saved_model("model", tmp_path / "m")
    with pytest.raises(ValueError, match="not built"):
        dsr_tf.export.saved_model(Subclassed(), tmp_path / "m")
    model = keras.Sequential([keras.Input((3,)), layers.SparseDense(2, 0.5)])
    for name in ("values", "sparse_matmul"):
        with pytest.raises(ValueError, match=f"Received: {name}='some'"):
            dsr_tf.export.saved_model(model, tmp_path / "m", **{name: "some"})
    assert os.listdir(tmp_path) == []


def test_exported_in_the_middle_of_training(data, tmp_path):
    """SNFS lets the optimizer move inactive weights within an epoch."""

    class Export(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 6:
                dsr_tf.export.saved_model(self.model, tmp_path / "m")
                self.expected = self.model(data[0])
                kernels = [
                    (w.kernel, w.mask)
                    for w in dsr_tf.masked_weights(self.model)
                ]
                self.moved = any(
                    values(kernel)[~values(mask)].any()
                    for kernel, mask in kernels
                )

    model = make_model(keras.optimizers.SGD(0.1, momentum=0.9))
    export = Export()
    method = dsr_tf.methods.SNFS(0.3, None)
    callback = dsr_tf.callbacks.Reallocation(method, period=50, seed=0)
    model.fit(*data, batch_size=8, verbose=0, callbacks=[callback, export])
    assert export.moved
    loaded = tf.saved_model.load(tmp_path / "m")
    serve = loaded.signatures["serving_default"]
    (name,) = serve.structured_input_signature[1]
    (output,) = serve(**{name: tf.constant(data[0])}).values()
    np.testing.assert_allclose(output, export.expected, rtol=1e-6, atol=1e-7)
