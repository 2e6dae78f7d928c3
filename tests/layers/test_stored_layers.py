"""What masked layers store, and what they load."""

import keras
import numpy as np
import pytest

from dsr_tf import layers
from tests.conftest import values
from tests.layers.kinds import kernel_of


def test_files_and_configs(kind, tmp_path):
    make, x = kind
    layer = make(sparsity=0.5, seed=1)
    inputs = keras.Input(x.shape[1:], dtype=str(x.dtype))
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for old, new in zip(model.weights, loaded.weights):
        np.testing.assert_array_equal(values(old), values(new))
    assert loaded.layers[-1].get_config() == layer.get_config()

    model.save_weights(tmp_path / "model.weights.h5")
    other = keras.models.clone_model(model)
    layer_copy = other.layers[-1]
    layer_copy.mask.assign(np.zeros(layer_copy.mask.shape, "bool"))
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(
        model.predict(x, verbose=0), other.predict(x, verbose=0)
    )


def test_a_file_stores_zeros_whatever_lies_under_the_mask(tmp_path):
    model = keras.Sequential(
        [keras.Input((6,)), layers.SparseDense(4, 0.5, seed=0)]
    )
    layer = model.layers[0]
    kernel_of(layer).assign(np.ones((6, 4)))
    model.save_weights(tmp_path / "m.weights.h5")
    model.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(
        values(kernel_of(layer)), values(layer.mask).astype("float32")
    )


@pytest.mark.parametrize("granularity", ["element", "channel", "block:2x2"])
def test_only_active_weights_are_stored(granularity):
    layer = layers.SparseDense(8, 0.5, granularity=granularity, seed=0)
    layer.build((None, 6))
    store = {}
    layer.save_own_variables(store)
    assert set(store) == {
        "bias",
        "kernel.active",
        "mask.gaps",
        "state",
    }
    assert store["kernel.active"].shape == (24,)
    other = layers.SparseDense(8, 0.5, granularity=granularity, seed=1)
    other.build((None, 6))
    other.load_own_variables(store)
    for ours, theirs in zip(layer.weights, other.weights):
        np.testing.assert_array_equal(values(ours), values(theirs))


def test_files_with_whole_kernels_load():
    layer = layers.SparseDense(4, 0.5, seed=0)
    layer.build((None, 6))
    whole = {name: values(getattr(layer, name)) for name in ("bias", "mask")}
    whole["kernel"] = values(kernel_of(layer))
    whole["reallocation_state"] = np.zeros(8, "int64")
    other = layers.SparseDense(4, 0.5, seed=1)
    other.build((None, 6))
    other.load_own_variables(whole)
    for ours, theirs in zip(layer.weights, other.weights):
        np.testing.assert_array_equal(values(ours), values(theirs))


def test_a_damaged_store_is_refused():
    layer = layers.SparseDense(4, 0.5, seed=0)
    layer.build((None, 6))
    store = {}
    layer.save_own_variables(store)
    before = values(kernel_of(layer))
    cut = {**store, "kernel.active": store["kernel.active"][:-1]}
    with pytest.raises(ValueError, match="holds 11 weights: it is damaged"):
        layer.load_own_variables(cut)
    cut = {**store, "mask.gaps": store["mask.gaps"][:-4]}
    damaged = f"'{layer.name}' .* places of its kernel .* are damaged"
    with pytest.raises(ValueError, match=damaged):
        layer.load_own_variables(cut)
    np.testing.assert_array_equal(values(kernel_of(layer)), before)


def test_places_without_room_are_refused():
    settings = {"granularity": "block:2x2", "seed": 0}
    full = layers.SparseDense(4, 0.0, **settings)
    full.build((None, 6))
    store = {}
    full.save_own_variables(store)
    layer = layers.SparseDense(4, 0.5, storage="blocks", **settings)
    layer.build((None, 6))
    refused = f"'{layer.name}' .* places of its kernel .* mask with 3 in one"
    with pytest.raises(ValueError, match=refused):
        layer.load_own_variables(store)


@pytest.mark.parametrize(
    "state",
    [
        '{"version": 1}',
        '{"version": true}',
        '{"version": NaN}',
        '{"version": -2}',
        '{"version": ' + "9" * 5000 + "}",
        '{"version": 2, "reallocation": [-5, 0, 0, 0]}',
        '{"version": 2, "reallocation": [1, 0, 0, -7]}',
        '{"version": 2, "gradient_window": [-3, -1]}',
        '{"version": 2, "num_moved": [-1]}',
        '{"version": 2, "pruning_threshold": [-0.5]}',
        '{"version": 2, "pruning_threshold": [NaN]}',
        '{"version": 2, "num_moved": ' + "[" * 300 + "]" * 300 + "}",
        "[" * 60000,
        "2",
        "",
    ],
    ids=lambda state: state[:40],
)
def test_a_damaged_state_is_refused(state):
    layer = layers.SparseDense(4, 0.5, seed=0)
    layer.build((None, 6))
    before = [values(variable) for variable in layer.weights]
    store = {}
    layer.save_own_variables(store)
    store["state"] = np.frombuffer(state.encode(), "uint8")
    message = f"The state of layer '{layer.name}' is damaged"
    with pytest.raises(ValueError, match=message):
        layer.load_own_variables(store)
    for variable, old in zip(layer.weights, before):
        np.testing.assert_array_equal(values(variable), old)


@pytest.mark.parametrize(
    "state",
    [
        [np.nan] * 8,
        [2**60] * 8,
        [-1] + [0] * 7,
        [0] * 6 + [-5, 0],
        [0] * 7 + [0x7FC00000],
    ],
    ids=str,
)
def test_a_damaged_state_of_before_is_refused(state):
    layer = layers.SparseDense(4, 0.5, seed=0)
    layer.build((None, 6))
    store = {}
    layer.save_own_variables(store)
    del store["state"]
    store["reallocation_state"] = np.array(state)
    with pytest.raises(ValueError, match=f"'{layer.name}' is damaged"):
        layer.load_own_variables(store)


def test_dense_weights_are_refused(tmp_path):
    dense = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(4, name="x")]
    )
    dense.save_weights(tmp_path / "dense.weights.h5")

    class Store(dict):
        pass

    layer = layers.SparseDense(4, 0.5)
    layer.build((None, 6))
    store = Store({"0": dense.get_weights()[0], "1": dense.get_weights()[1]})
    with pytest.raises(ValueError, match="without a mask.*sparsify"):
        layer.load_own_variables(store)
