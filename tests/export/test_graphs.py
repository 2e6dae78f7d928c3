"""What layers of Keras become in SavedModels, and what they compute."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dsr_tf
from dsr_tf import layers
from dsr_tf.export import registry
from tests.conftest import outputs_of
from tests.conversion import models_to_copy

NUMBERS = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")


def served(model, path, write=dsr_tf.export.saved_model):
    write(model, path)
    loaded = tf.saved_model.load(str(path))
    serve = loaded.signatures["serving_default"]
    serve.loaded = loaded
    return serve


def first_output(serve, inputs):
    (name,) = serve.structured_input_signature[1]
    (output,) = serve(**{name: tf.constant(inputs)}).values()
    return output


# Those with gradients of their own, and one of each other kind.
ACTIVATIONS = ["silu", "gelu", "mish", "softmax", "hard_silu", "selu"]


writes = pytest.mark.parametrize(
    "write", [dsr_tf.export.saved_model, dsr_tf.export.dense_saved_model]
)


@writes
def test_activations(write, tmp_path):
    model = keras.Sequential([keras.Input((6,))])
    for seed, name in enumerate(ACTIVATIONS):
        model.add(layers.SparseDense(6, 0.3, activation=name, seed=seed))
    serve = served(model, tmp_path / "m", write)
    np.testing.assert_array_equal(
        first_output(serve, NUMBERS), outputs_of(model, NUMBERS)
    )
    # As a part of something that is trained.
    inputs = tf.constant(NUMBERS)
    gradients = []
    for function in (lambda x: first_output(serve, x), model):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            total = tf.reduce_sum(function(inputs) ** 2)
        gradients.append(tape.gradient(total, inputs))
    np.testing.assert_allclose(*gradients, rtol=1e-4, atol=1e-6)


TABLES = [
    models_to_copy.integers,
    models_to_copy.strings(
        lambda: keras.layers.TextVectorization(output_mode="tf_idf")
    ),
    models_to_copy.strings(
        lambda: keras.layers.StringLookup(output_mode="one_hot")
    ),
]


@writes
@pytest.mark.parametrize("make", TABLES)
def test_vocabularies_in_front(make, write, tmp_path):
    model, words = make()
    model = dsr_tf.sparsify(model, 0.5, seed=0)
    serve = served(model, tmp_path / "m", write)
    np.testing.assert_array_equal(
        first_output(serve, words), outputs_of(model, tf.constant(words))
    )
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.load(
            session, ["serve"], str(tmp_path / "m")
        )
        signature = meta.signature_def["serving_default"]
        ((_, given),) = signature.inputs.items()
        found = session.run(signature.outputs["head"].name, {given.name: words})
    np.testing.assert_array_equal(found, first_output(serve, words))


@writes
def test_inputs_and_outputs_by_name(write, tmp_path):
    model, inputs = models_to_copy.by_name()
    inputs = {
        "a": tf.constant(inputs["a"]),
        "b": tf.constant(inputs["b"], "int32"),
    }
    serve = served(dsr_tf.sparsify(model, 0.0), tmp_path / "m", write)
    found, expected = serve(**inputs), model(inputs)
    for name in zip(sorted(found), ("add", "dense")):
        assert name[0].startswith(name[1])
    ours, theirs = (
        sorted(map(np.sum, outputs.values())) for outputs in (found, expected)
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize(
    "make, message",
    [
        (models_to_copy.discretization, "No Op registered for Bucketize"),
        (models_to_copy.normalization, "3 inputs instead of 1"),
    ],
)
def test_what_onnx_cannot_hold(make, message, tmp_path):
    model, _ = make()
    message = f"cannot be converted to ONNX .*{message}"
    with pytest.raises(ValueError, match=message):
        dsr_tf.export.onnx(model, tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_whole_of_efficientnet(tmp_path):
    model = keras.applications.EfficientNetB0(weights=None)
    model = dsr_tf.sparsify(model, 0.9, seed=0)
    serve = served(model, tmp_path / "m")
    images = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3))
    images = images.astype("float32")
    np.testing.assert_array_equal(
        first_output(serve, images), outputs_of(model, images)
    )


@pytest.fixture(scope="module")
def tuned():
    """LoRA on masked layers of every kind that has it."""
    inputs = keras.Input((8, 6))
    x = layers.SparseConv1D(6, 3, 0.5, seed=0)(inputs)
    x = layers.SparseEinsumDense("abc,cd->abd", (6, 6), 0.5, seed=1)(x)
    x = layers.SparseDense(5, 0.5, seed=2)(keras.layers.Flatten()(x))
    model = keras.Model(inputs, keras.layers.Dense(3, name="dense")(x))
    generator = np.random.default_rng(0)
    for layer in model.layers:
        if hasattr(layer, "enable_lora"):
            layer.enable_lora(2)
            shape = layer.lora_kernel_b.shape
            layer.lora_kernel_b.assign(generator.normal(size=shape))
    return model


SEQUENCES = np.random.default_rng(0).normal(size=(5, 8, 6)).astype("float32")


@pytest.mark.parametrize(
    "format, sparse_matmul",
    [
        ("saved_model", "never"),
        ("saved_model", "always"),
        ("litert", None),
        ("onnx", None),
    ],
)
def test_lora(format, sparse_matmul, tuned, tmp_path):
    endings = {"saved_model": "", "litert": ".tflite", "onnx": ".onnx"}
    path = str(tmp_path / f"m{endings[format]}")
    if format == "saved_model":
        dsr_tf.export.saved_model(tuned, path, sparse_matmul=sparse_matmul)
    else:
        getattr(dsr_tf.export, format)(tuned, path)
    found = registry.load("model", path).predict(SEQUENCES)
    expected = outputs_of(tuned, SEQUENCES)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    plain = keras.models.clone_model(tuned)
    assert np.abs(expected - outputs_of(plain, SEQUENCES)).max() > 0.1


def test_lora_of_a_subclassed_model_with_an_embedding(tmp_path):
    class Tuned(keras.Model):
        def __init__(self):
            super().__init__()
            self.words = layers.SparseEmbedding(9, 4, 0.5, seed=0)

        def call(self, x):
            return self.words(x)

    model = Tuned()
    words = np.arange(6).reshape(2, 3)
    model(words)
    model.words.enable_lora(1)
    model.words.lora_embeddings_b.assign(np.ones((1, 4)))
    signature = tf.TensorSpec((None, 3), "int64", name="words")
    dsr_tf.export.saved_model(model, tmp_path / "m", signature)
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    (found,) = loaded.serve(tf.constant(words)).values()
    np.testing.assert_array_equal(found, outputs_of(model, words))
    inactive = ~model.words.mask.numpy()
    assert inactive[words].any() and not found.numpy()[inactive[words]].any()


def test_strip_of_lora(tuned):
    dense = dsr_tf.strip(tuned)
    np.testing.assert_array_equal(
        outputs_of(dense, SEQUENCES), outputs_of(tuned, SEQUENCES)
    )
    enabled = [x.name for x in dense.layers if getattr(x, "lora_enabled", 0)]
    assert enabled == ["dense"]
