"""Attention whose projections are masked."""

import inspect

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import layers
from dsr_tf.callbacks import Reallocation
from tests.conftest import values

X = np.random.default_rng(0).normal(size=(2, 6, 8)).astype("float32")

# Keras 3.12 has no gates.
GATE = inspect.signature(keras.layers.MultiHeadAttention).parameters.keys() & {
    "use_gate"
}
LAYERS = {
    "heads": lambda **k: layers.SparseMultiHeadAttention(2, 4, **k),
    "gate": lambda **k: layers.SparseMultiHeadAttention(
        2, 4, **dict.fromkeys(GATE, True), value_dim=3, dropout=0.2, **k
    ),
    "grouped": lambda **k: layers.SparseGroupedQueryAttention(4, 4, 2, **k),
}


@pytest.fixture(params=LAYERS)
def make(request):
    return LAYERS[request.param]


def model_of(layer):
    inputs = keras.Input(X.shape[1:])
    return keras.Model(inputs, layer(inputs, inputs, use_causal_mask=True))


def test_outputs_are_those_of_the_plain_layer_with_the_same_zeros(make):
    layer = make(sparsity=0.6, seed=3)
    model = model_of(layer)
    weights = dsr_tf.masked_weights(model)
    names = ("query", "key", "value", "gate", "attention_output")
    assert len(weights) == len([p for p in layer._layers if p.name in names])
    for weight in weights:
        assert 0 < weight.num_active == round(0.4 * weight.size)
        assert not values(weight.kernel)[~values(weight.mask)].any()
    # Masks of equal shape are not the same.
    query, key = (
        values(part.mask)
        for name in ("query", "key")
        for part in layer._layers
        if part.name == name
    )
    if query.shape == key.shape:
        assert (query != key).any()
    config = layer.get_config()
    for name in ("sparsity", "granularity"):
        config.pop(name)
    plain = layers.HELD_KINDS[type(layer)].from_config(config)
    other = keras.Model(*_connected(plain))
    other.set_weights([values(v) for v in model.trainable_variables])
    np.testing.assert_array_equal(values(other(X)), values(model(X)))


def _connected(layer):
    inputs = keras.Input(X.shape[1:])
    return inputs, layer(inputs, inputs, use_causal_mask=True)


def test_files_strip_and_sparsify(make, tmp_path):
    model = model_of(make(sparsity=0.6, seed=3))
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(values(loaded(X)), values(model(X)))
    plain = dsr_tf.strip(loaded)
    assert type(plain.layers[-1]) is layers.HELD_KINDS[type(model.layers[-1])]
    np.testing.assert_array_equal(values(plain(X)), values(model(X)))
    sparse = dsr_tf.sparsify(plain, 0.0)
    assert type(sparse.layers[-1]) is type(model.layers[-1])
    np.testing.assert_array_equal(values(sparse(X)), values(model(X)))


def test_some_projections_only(tmp_path):
    given = {"query": 0.5, "attention_output": 0.75}
    layer = layers.SparseMultiHeadAttention(2, 4, sparsity=given, seed=0)
    model = model_of(layer)
    assert layer.get_config()["sparsity"] == given
    paths = [w.path for w in dsr_tf.masked_weights(model)]
    assert sorted(path.split("/")[-2] for path in paths) == sorted(given)
    twin = dsr_tf.sparsify(dsr_tf.strip(model), 0.5, filters="query|key")
    assert len(dsr_tf.masked_weights(twin)) == 2
    twin.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(values(loaded(X)), values(twin(X)))
    with pytest.raises(ValueError, match="keys among .*query.*'wrong'"):
        model_of(layers.SparseMultiHeadAttention(2, 4, sparsity={"wrong": 0}))


STORED = {"granularity": "block:4", "storage": "blocks", "sparsity": 0.6}


def test_stored_weights(make, tmp_path):
    model = model_of(make(seed=3, **STORED))
    weights = dsr_tf.masked_weights(model)
    assert {weight.layer.storage for weight in weights} == {"blocks"}
    # What is active has been drawn.
    assert all(weight.variable.groups().any(axis=1).all() for weight in weights)
    outputs = values(model(X))
    twin = dsr_tf.with_storage(model, "masked")
    np.testing.assert_allclose(values(twin(X)), outputs, atol=1e-5)
    # The twin has as much room, and so has what is copied of it.
    for copy in (twin, dsr_tf.with_storage(twin, "blocks")):
        for ours, theirs in zip(dsr_tf.masked_weights(copy), weights):
            assert ours.layer.num_slots == theirs.layer.num_slots
            assert ours.grouping == theirs.grouping
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(values(loaded(X)), outputs)
    plain = dsr_tf.strip(loaded)
    assert type(plain.layers[-1]) is layers.HELD_KINDS[type(model.layers[-1])]
    np.testing.assert_allclose(values(plain(X)), outputs, atol=1e-5)


def test_some_projections_store_active_weights(tmp_path):
    storage = {"query": "blocks", "value": "masked"}
    layer = layers.SparseMultiHeadAttention(
        2,
        4,
        **{
            **STORED,
            "storage": storage,
            "sparsity": dict.fromkeys(storage, 0.5),
        },
    )
    layer_copy = type(layer).from_config(layer.get_config())
    model = model_of(layer_copy)
    found = {
        p.name: p.storage for p in layer_copy._projections if p.name in storage
    }
    assert found == storage
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(values(loaded(X)), values(model(X)))


@pytest.mark.parametrize(
    "name, method",
    [
        ("heads", dsr_tf.methods.DSR(10, initial_threshold=0.1)),
        ("gate", dsr_tf.methods.SNFS(0.3, None)),
        ("grouped", dsr_tf.methods.SNFS(0.3, None)),
    ],
)
def test_training(name, method):
    model = model_of(LAYERS[name](sparsity=0.6, seed=3))
    budget = sum(w.num_active for w in dsr_tf.masked_weights(model))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    history = model.fit(
        X,
        np.zeros_like(X),
        epochs=3,
        verbose=0,
        callbacks=[Reallocation(method, period=1, seed=0)],
    )
    assert sum(history.history["num_reallocated"])
    weights = dsr_tf.masked_weights(model)
    assert sum(w.num_active for w in weights) == budget


def test_whole_heads():
    layer = layers.SparseMultiHeadAttention(
        4, 4, sparsity=0.5, granularity="head", seed=0
    )
    model = model_of(layer)
    for weight in dsr_tf.masked_weights(model):
        mask = values(weight.mask)
        axis = 0 if "attention_output" in weight.path else 1
        assert mask.size == mask.shape[axis] == 4
        assert np.count_nonzero(mask) == 2
    twin = dsr_tf.sparsify(dsr_tf.strip(model), 0.5, granularity="head")
    assert layer.get_config()["granularity"] == "head"
    assert {w.granularity for w in dsr_tf.masked_weights(twin)} == {"head"}
    dense = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match="its kernel has no heads"):
        dsr_tf.sparsify(dense, 0.5, granularity="head")
