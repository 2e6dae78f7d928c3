"""ONNX files of models that compute in bfloat16, which few runtimes do."""

import sys

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf.export import registry
from tests.conftest import outputs_of

NUMBERS = np.random.default_rng(0).integers(0, 9, size=(4, 8))


def numbers(*layers):
    return keras.Sequential([keras.Input((8,)), *layers])


def words(*layers, **kwargs):
    embedding = keras.layers.Embedding(9, 4, **kwargs)
    return keras.Sequential(
        [keras.Input((8,), dtype="int32"), embedding, *layers]
    )


def last(dtype):
    return keras.layers.Dense(2, dtype=dtype)


REFUSED = {
    # Products of bfloat16 by what the converter takes for float16.
    "all": lambda: numbers(keras.layers.Dense(8), last(None)),
    "but the last": lambda: numbers(keras.layers.Dense(8), last("float32")),
    # And such as are valid, but in no runtime.
    "words": lambda: words(keras.layers.Dense(8), last("float32")),
    "means": lambda: words(
        keras.layers.ReLU(),
        keras.layers.GlobalAveragePooling1D(),
        last("float32"),
    ),
}


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_what_no_runtime_loads(make, policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    model = make()
    # As where a file is loaded.
    keras.config.set_dtype_policy("float32")
    model = dsr_tf.sparsify(model, 0.5, seed=0)
    with pytest.raises(ValueError, match=r"to ONNX \(.* in bfloat16") as error:
        dsr_tf.export.onnx(model, tmp_path / "m.onnx")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


LOADED = {
    "looked up": lambda: words(last(None), dtype="mixed_bfloat16"),
    "nothing computed": lambda: numbers(
        keras.layers.Dropout(0.5, dtype="mixed_bfloat16"), last(None)
    ),
    "normalized": lambda: numbers(
        keras.layers.BatchNormalization(dtype="mixed_bfloat16"), last(None)
    ),
    "float16": lambda: numbers(
        keras.layers.Dense(8, dtype="mixed_float16"), last(None)
    ),
}


@pytest.mark.parametrize("make", LOADED.values(), ids=LOADED)
def test_what_loads_is_written(make, tmp_path):
    model, path = make(), tmp_path / "m.onnx"
    dsr_tf.export.onnx(model, path)
    inputs = NUMBERS.astype(model.inputs[0].dtype)
    np.testing.assert_allclose(
        registry.load("model", str(path)).predict(inputs),
        outputs_of(model, inputs),
        rtol=0.02,
        atol=0.02,
    )


def test_whether_it_loads_is_not_guessed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ValueError, match="needs the package onnxruntime"):
        dsr_tf.export.onnx(LOADED["looked up"](), tmp_path / "m.onnx")
    dsr_tf.export.onnx(LOADED["float16"](), tmp_path / "m.onnx")
