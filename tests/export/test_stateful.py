"""Recurrent layers that go on from where the last call has ended."""

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import layers
from dsr_tf.export import registry
from tests.conftest import outputs_of

SEQUENCES = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")


def lstm(stateful=True):
    return keras.layers.LSTM(4, stateful=stateful, name="memory")


def around(layer):
    return keras.Sequential(
        [keras.Input(batch_shape=(4, 5, 3)), layer, keras.layers.Dense(2)]
    )


MODELS = {
    "keras": lambda: around(lstm()),
    "sparse": lambda: dsr_tf.sparsify(around(lstm()), 0.5, seed=0),
    "cells": lambda: around(
        layers.SparseRNN(
            [layers.SparseGRUCell(4, sparsity=0.5, seed=0)],
            stateful=True,
            name="memory",
        )
    ),
    "both directions": lambda: around(
        keras.layers.Bidirectional(lstm(), name="memory")
    ),
    "a model inside": lambda: around(
        keras.Sequential([keras.Input(batch_shape=(4, 5, 3)), lstm()])
    ),
}
FORMATS = {
    "saved_model": "m",
    "dense_saved_model": "m",
    "litert": "m.tflite",
    "onnx": "m.onnx",
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("format, name", FORMATS.items())
def test_states_that_a_file_would_freeze(format, name, make, tmp_path):
    with pytest.raises(ValueError, match=r"^Layer 'memory' \(.* is stateful"):
        getattr(dsr_tf.export, format)(make(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_what_the_sentence_tells_to_do(tmp_path):
    model = MODELS["sparse"]()
    expected = outputs_of(model, SEQUENCES)
    assert np.abs(outputs_of(model, SEQUENCES) - expected).max() > 0.01
    dsr_tf.export.packed(model, tmp_path / "m.packed")
    loaded = dsr_tf.export.load_packed(tmp_path / "m.packed")
    # From the start again, and then on as the model has gone.
    np.testing.assert_array_equal(outputs_of(loaded, SEQUENCES), expected)
    assert np.abs(outputs_of(loaded, SEQUENCES) - expected).max() > 0.01
    model.layers[0].stateful = False
    dsr_tf.export.onnx(model, tmp_path / "m.onnx")
    dsr_tf.export.saved_model(model, tmp_path / "m")
    for name in ("m.onnx", "m"):
        found = registry.load("model", str(tmp_path / name))
        for _ in range(2):
            np.testing.assert_allclose(
                found.predict(SEQUENCES), expected, rtol=1e-5, atol=1e-6
            )
