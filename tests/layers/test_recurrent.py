"""Recurrent layers: two masked kernels in a cell, and what holds the cell."""

import sys

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import layers
from dsr_tf.callbacks import Reallocation
from tests.conftest import slow_on_jax
from tests.conftest import values

X = np.random.default_rng(0).normal(size=(4, 6, 5)).astype("float32")
IMAGES = np.random.default_rng(1).normal(size=(2, 4, 6, 6, 2))

LAYERS = {
    "lstm": (layers.SparseLSTM, (8,), {}),
    "gru": (layers.SparseGRU, (8,), {}),
    "simple": (layers.SparseSimpleRNN, (8,), {}),
    "sequences": (layers.SparseLSTM, (8,), {"return_sequences": True}),
    "backwards": (layers.SparseGRU, (8,), {"go_backwards": True}),
    "gru of before": (layers.SparseGRU, (8,), {"reset_after": False}),
    "unrolled": (layers.SparseLSTM, (8,), {"unroll": True}),
    "by parts": (layers.SparseLSTM, (8,), {"implementation": 1}),
    "simple with dropout": (layers.SparseSimpleRNN, (8,), {"dropout": 0.3}),
    "no cudnn": (layers.SparseLSTM, (8,), {"use_cudnn": False}),
    "dropout": (
        layers.SparseLSTM,
        (8,),
        {"dropout": 0.3, "recurrent_dropout": 0.2},
    ),
    "conv 2d": (layers.SparseConvLSTM2D, (3, 3), {}),
}


def inputs_of(name):
    return IMAGES.astype("float32") if name.startswith("conv") else X


@pytest.fixture(params=LAYERS)
def case(request):
    kind, arguments, more = LAYERS[request.param]
    x = inputs_of(request.param)
    layer = kind(*arguments, sparsity=0.7, seed=3, **more)
    layer(x)
    return layer, x


def model_of(layer, x):
    return keras.Sequential([keras.Input(x.shape[1:]), layer])


def test_outputs_are_those_of_the_plain_layer_with_the_same_zeros(case):
    layer, x = case
    config = layer.get_config()
    for name in ("sparsity", "granularity"):
        config.pop(name)
    plain = layers.HELD_KINDS[type(layer)].from_config(config)
    plain.build(x.shape)
    plain.set_weights([values(v) for v in layer.trainable_variables])
    for weight in layer.cell.masked_variables.values():
        mask = values(weight.mask)
        assert 0 < np.count_nonzero(mask) < mask.size
        assert not values(weight.kernel)[~mask].any()
    for old, new in zip(
        layer.cell._seed_generators, plain.cell._seed_generators
    ):
        new.state.assign(values(old.state))
    for training in (False, True):
        np.testing.assert_array_equal(
            values(layer(x, training=training)),
            values(plain(x, training=training)),
        )


def test_what_lies_under_the_mask_is_not_read(case):
    layer, x = case
    before = values(layer(x))
    for weight in layer.cell.masked_variables.values():
        weight.kernel.assign(values(weight.kernel) + ~values(weight.mask))
    np.testing.assert_array_equal(values(layer(x)), before)


def test_files_and_configurations(case, tmp_path):
    layer, x = case
    model = model_of(layer, x)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert type(loaded.layers[0]) is type(layer)
    np.testing.assert_array_equal(values(loaded(x)), values(model(x)))
    copy = type(layer).from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    copy(x)
    assert copy.cell.sparsity == layer.cell.sparsity


def test_sparsify_and_strip(case):
    layer, x = case
    model = model_of(layer, x)
    plain = dsr_tf.strip(model)
    assert type(plain.layers[0]) is layers.HELD_KINDS[type(layer)]
    np.testing.assert_array_equal(values(plain(x)), values(model(x)))
    sparse = dsr_tf.sparsify(plain, 0.0)
    assert type(sparse.layers[0]) is type(layer)
    np.testing.assert_array_equal(values(sparse(x)), values(model(x)))


def test_a_kernel_is_masked_once_a_call(monkeypatch):
    layer = layers.SparseLSTM(4, use_cudnn=False, unroll=True)
    layer(X)
    masked = []
    kind = type(layer.cell.masked_variables["kernel"])
    original = kind.masked
    monkeypatch.setattr(
        kind,
        "masked",
        lambda weight, x: masked.append(weight.name) or original(weight, x),
    )
    layer(X)
    assert sorted(masked) == ["kernel", "recurrent_kernel"]


def fused(layer, monkeypatch, name, module):
    """What a fused implementation would be called with, or None."""
    found = []

    def implementation(*args, **kwargs):
        found.append(kwargs)
        raise NotImplementedError

    backend = sys.modules[module].backend
    monkeypatch.setattr(backend, name, implementation)
    layer(X)
    return found[0] if found else None


@pytest.mark.parametrize(
    "kind, name", [(layers.SparseLSTM, "lstm"), (layers.SparseGRU, "gru")]
)
def test_the_fused_implementation_gets_masked_kernels(kind, name, monkeypatch):
    layer = kind(4, sparsity=0.5, seed=0)
    layer(X)
    plain = layers.HELD_KINDS[kind].__module__
    given = fused(layer, monkeypatch, name, plain)
    np.testing.assert_array_equal(
        values(given["kernel"]), values(layer.cell.kernel)
    )
    module = keras.layers.Bidirectional.__module__
    if not hasattr(sys.modules[module], "backend"):
        return  # Keras 3.12 has no such implementation for both directions.
    both = keras.layers.Bidirectional(kind(4, sparsity=0.5, seed=0))
    both(X)
    given = fused(both, monkeypatch, f"bidirectional_{name}", module)
    np.testing.assert_array_equal(
        values(given["bwd_recurrent_kernel"]),
        values(both.backward_layer.cell.recurrent_kernel),
    )


def held(*parts, batch=None):
    shape = (batch, *X.shape[1:])
    return keras.Sequential([keras.Input(batch_shape=shape), *parts])


plain = keras.layers
HOLDERS = {
    "bidirectional": lambda: held(plain.Bidirectional(plain.LSTM(4))),
    "two ways": lambda: held(
        plain.Bidirectional(
            plain.GRU(4), backward_layer=plain.LSTM(4, go_backwards=True)
        )
    ),
    "cell": lambda: held(plain.RNN(plain.SimpleRNNCell(6))),
    "cells": lambda: held(plain.RNN([plain.LSTMCell(6), plain.GRUCell(4)])),
    "each": lambda: held(plain.TimeDistributed(plain.Dense(4))),
    "stateful": lambda: held(plain.LSTM(4, stateful=True), batch=4),
    "half precision": lambda: held(
        plain.RNN(plain.LSTMCell(4, dtype="mixed_bfloat16"))
    ),
}
# A cell that is given, one that a layer has, and two of a wrapper.
ON_JAX = ("bidirectional", "cell", "stateful")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in ON_JAX else slow_on_jax)
        for name in HOLDERS
    ],
)
def test_what_holds_cells(name, tmp_path):
    model = HOLDERS[name]()
    twin = dsr_tf.sparsify(model, 0.0)
    np.testing.assert_array_equal(values(twin(X)), values(model(X)))
    sparse = dsr_tf.sparsify(model, 0.5, seed=0)
    assert not sparse.skipped_layers
    budget = sum(w.num_active for w in dsr_tf.masked_weights(sparse))
    sparse.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    history = sparse.fit(
        X,
        np.zeros((4, *sparse.output_shape[1:])),
        batch_size=4,
        epochs=3,
        verbose=0,
        callbacks=[
            Reallocation(dsr_tf.methods.RigL(0.3, None), period=1, seed=0)
        ],
    )
    assert sum(history.history["num_reallocated"])
    weights = dsr_tf.masked_weights(sparse)
    assert sum(w.num_active for w in weights) == budget
    for weight in weights:
        assert not values(weight.kernel)[~values(weight.mask)].any()
    sparse.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    for layer in (*loaded.layers, *sparse.layers):
        if getattr(layer, "stateful", False):
            layer.reset_states()
    outputs = values(sparse(X))
    np.testing.assert_array_equal(values(loaded(X)), outputs)
    for layer in sparse.layers:
        if getattr(layer, "stateful", False):
            layer.reset_states()
    plain = dsr_tf.strip(sparse)
    np.testing.assert_array_equal(values(plain(X)), outputs)


def test_bad_arguments():
    with pytest.raises(ValueError, match="kernel, recurrent_kernel. Received"):
        layers.SparseLSTM(4, sparsity={"kernel": 0.5})
    with pytest.raises(ValueError, match="sparsity=1"):
        layers.SparseGRU(4, sparsity=1)
