"""Packed files of models of many kinds: what is read is what was written."""

import threading

import keras
import numpy as np
import pytest
from keras import layers

import dsr_tf
from dsr_tf import export
from dsr_tf import models
from dsr_tf.command_line import UsageError
from dsr_tf.core import memory
from dsr_tf.training.architecture import Prepared
from tests.conftest import outputs_of


def around(layer):
    inputs = keras.Input((6, 16))
    return keras.Model(inputs, layers.Dense(8)(layer(inputs)))


def attention(kind):
    inputs = keras.Input((6, 16))
    return keras.Model(inputs, layers.Dense(8)(kind(inputs, inputs)))


# Some build layers inside of them, and mask what is built.
MODELS = {
    "dense": lambda: around(layers.Dense(16)),
    "lstm": lambda: around(layers.LSTM(8)),
    "both directions": lambda: around(layers.Bidirectional(layers.GRU(8))),
    "cells": lambda: around(
        layers.RNN([layers.LSTMCell(8), layers.GRUCell(8)])
    ),
    "at each time": lambda: around(layers.TimeDistributed(layers.Dense(16))),
    "attention": lambda: attention(layers.MultiHeadAttention(2, 8)),
    "groups of queries": lambda: attention(
        layers.GroupQueryAttention(8, num_query_heads=2, num_key_value_heads=1)
    ),
    "vit": lambda: models.MODELS["vit"](
        input_shape=(8, 8, 1), num_classes=8, width=0.1
    ),
}
STORAGES = {
    "masked": {},
    "lists": {"storage": "lists"},
    "blocks": {"storage": "blocks", "granularity": "block:8"},
}


def written(model, folder):
    path = folder / "model.packed"
    export.packed(model, path)
    return path


# What "vit" stores has been in others already.
BY_HAND = [("lists", "vit"), ("blocks", "vit")]


@pytest.mark.parametrize(
    ("storage", "make"),
    [
        pytest.param(
            storage,
            make,
            id=f"{storage}-{name}",
            marks=[pytest.mark.slow] * ((storage, name) in BY_HAND),
        )
        for storage in STORAGES
        for name, make in MODELS.items()
    ],
)
def test_models_are_read_as_they_were(storage, make, tmp_path):
    # What cannot be stored so stays dense.
    model = dsr_tf.sparsify(make(), 0.5, seed=0, **STORAGES[storage])
    loaded = export.load_packed(written(model, tmp_path))
    x = np.random.default_rng(0).normal(size=(2, *model.input_shape[1:]))
    np.testing.assert_array_equal(outputs_of(loaded, x), outputs_of(model, x))
    found, expected = map(dsr_tf.layers.masked_weights, (loaded, model))
    assert [w.num_active for w in found] == [w.num_active for w in expected]
    assert found


def test_checkpoints_hold_them_too(tmp_path, monkeypatch):
    """Networks of runs are written down in the same way."""
    model = dsr_tf.sparsify(MODELS["attention"](), 0.5, seed=0)
    prepared = Prepared(model.to_json(), None, source=tmp_path)
    shapes = [v.shape for v in model.variables]
    assert [v.shape for v in prepared.build().variables] == shapes
    # It could be there, but not be trained.
    enough = sum(map(memory.num_bytes, model.variables))
    monkeypatch.setattr(memory, "total", lambda: enough)
    with pytest.raises(UsageError, match="training its weights would take"):
        prepared.build()


def packed_dense(folder, **arguments):
    inputs = keras.Input((4,))
    layer = dsr_tf.layers.SparseDense(3, 0.5, **arguments)
    return written(keras.Model(inputs, layer(inputs)), folder)


def test_as_many_weights_as_memory_has_room_for(tmp_path, monkeypatch):
    path = packed_dense(tmp_path)
    enough = sum(map(memory.num_bytes, export.load_packed(path).variables))
    monkeypatch.setattr(memory, "total", lambda: enough)
    export.load_packed(path)
    monkeypatch.setattr(memory, "total", lambda: enough - 1)
    with pytest.raises(ValueError, match="its variables would take"):
        export.load_packed(path)
    assert keras.layers.Layer.add_weight.__module__.startswith("keras.")


@keras.saving.register_keras_serializable(package="tests")
class Loading(keras.layers.Layer):
    """Made of what is loaded while it is made; has a shape that is an array."""

    def __init__(self, file, other=False, **kwargs):
        super().__init__(**kwargs)
        self.file, self.other = file, other
        self.inner = export.load_packed(file)
        if other:
            thread = threading.Thread(target=build_another)
            thread.start()
            thread.join()

    def build(self, shape):
        self.scale = self.add_weight(shape=np.array([1, 3]))

    def call(self, x):
        return self.inner(x) * self.scale

    def get_config(self):
        own = {"file": self.file, "other": self.other}
        return {**super().get_config(), **own}


def build_another():
    layer = keras.layers.Dense(10**4)
    layer.build((None, 10))
    BUILT.append(layer)


BUILT = []


def test_what_is_loaded_while_another_file_is(tmp_path, monkeypatch):
    (tmp_path / "inner").mkdir()
    path = str(packed_dense(tmp_path / "inner"))
    inputs = keras.Input((4,))
    model = keras.Model(inputs, Loading(path, other=True)(inputs))
    file = written(model, tmp_path)
    # What another thread builds meanwhile is not of the file.
    monkeypatch.setattr(memory, "total", lambda: 1000)
    BUILT.clear()
    loaded = export.load_packed(file)
    assert len(BUILT) == 1
    x = np.ones((2, 4), "float32")
    np.testing.assert_array_equal(outputs_of(loaded, x), outputs_of(model, x))
