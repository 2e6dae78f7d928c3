"""Layers inside of layers, and models that are no graph of layers."""

import keras
import numpy as np
import pytest
from keras import layers

import dsr_tf
from dsr_tf.callbacks import Reallocation
from tests.conftest import assert_zero_outside_masks
from tests.conftest import needs_tensorflow
from tests.conftest import values

X = np.random.default_rng(0).normal(size=(4, 6, 8)).astype("float32")


@keras.saving.register_keras_serializable("tests")
class Block(layers.Layer):
    """It takes no name, gives none, and builds its layers in `call`."""

    def __init__(self, units=8):
        super().__init__()
        self.units = units
        self.attention = layers.MultiHeadAttention(2, 4)
        self.dense = keras.Sequential(
            [layers.Dense(2 * units, "relu"), layers.Dense(units)]
        )
        self.norms = [layers.LayerNormalization() for _ in range(2)]

    def call(self, x):
        x = self.norms[0](x + self.attention(x, x))
        return self.norms[1](x + self.dense(x))

    def get_config(self):
        return {"units": self.units}


@keras.saving.register_keras_serializable("tests")
class Built(layers.Layer):
    """It builds its layers in `build`, and gives itself another name."""

    def __init__(self, units=8, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.lstm = layers.LSTM(units, return_sequences=True, name="lstm")
        self.out = layers.Dense(units, name="out")

    def build(self, shape):
        self.lstm.build(shape)
        self.out.build((*shape[:-1], self.units))

    def call(self, x):
        return self.out(self.lstm(x))

    def compute_output_shape(self, shape):
        return (*shape[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("tests")
class Own(keras.Model):
    """A model with a training step of its own."""

    def __init__(self, units=8, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.first = layers.Dense(units, name="first")
        self.block = Block(units)
        self.heads = {"a": layers.Dense(3, name="a")}
        self.steps = 0

    def call(self, x):
        return self.heads["a"](self.block(self.first(x)))

    def train_step(self, *args):
        self.steps += 1  # once a trace
        return super().train_step(*args)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("tests")
class OwnStep(keras.Model):
    """Made of inputs and outputs, with a training step of its own."""

    def train_step(self, *args):
        return super().train_step(*args)


def functional(*parts, kind=keras.Model):
    inputs = x = keras.Input(X.shape[1:])
    for part in parts:
        x = part(x)
    return kind(inputs, x)


def own():
    model = Own()
    model(X)
    return model


def shared():
    block, inputs = Block(), keras.Input(X.shape[1:])
    return keras.Model(inputs, block(block(inputs)))


# What makes a model, and the number of its masked weights.
MODELS = {
    "block": (lambda: functional(Block(), layers.Dense(2)), 7),
    "built": (lambda: functional(Built(), layers.Dense(2)), 4),
    "shared": (shared, 6),
    "nested": (
        lambda: functional(functional(Block()), layers.Dense(2)),
        7,
    ),
    "own step": (lambda: functional(Block(), kind=OwnStep), 6),
    "own model": (own, 8),
    "spectral": (
        lambda: functional(layers.SpectralNormalization(layers.Dense(3))),
        1,
    ),
    "wrapped": (
        lambda: functional(
            layers.Reshape((2, 3, 8)), layers.TimeDistributed(Built())
        ),
        3,
    ),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore:`build\\(\\)` was called")
def test_convert_save_and_strip(name, tmp_path):
    make, num_masked = MODELS[name]
    model = make()
    twin = dsr_tf.sparsify(model, 0.0)
    np.testing.assert_array_equal(values(twin(X)), values(model(X)))

    sparse = dsr_tf.sparsify(model, 0.5, seed=0)
    weights = dsr_tf.masked_weights(sparse)
    assert len(weights) == num_masked
    assert isinstance(sparse, type(model))
    budget = sum(w.num_active for w in weights)
    assert budget == round(0.5 * sum(w.size for w in weights))
    assert_zero_outside_masks(sparse)

    outputs = values(sparse(X))
    sparse.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert isinstance(loaded, type(model))
    np.testing.assert_array_equal(values(loaded(X)), outputs)
    assert [w.num_active for w in dsr_tf.masked_weights(loaded)] == [
        w.num_active for w in weights
    ]
    plain = dsr_tf.strip(loaded)
    assert type(plain) is type(model)
    assert not dsr_tf.masked_weights(plain)
    np.testing.assert_array_equal(values(plain(X)), outputs)
    plain.save(tmp_path / "plain.keras")
    again = keras.saving.load_model(tmp_path / "plain.keras")
    np.testing.assert_array_equal(values(again(X)), outputs)


@pytest.mark.parametrize("name", ["shared", "own model"])
def test_training(name):
    model = MODELS[name][0]()
    sparse = dsr_tf.sparsify(model, 0.5, seed=0)
    weights = dsr_tf.masked_weights(sparse)
    budget = sum(w.num_active for w in weights)
    sparse.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse")
    history = sparse.fit(
        X,
        np.zeros(model(X).shape),
        epochs=3,
        verbose=0,
        callbacks=[
            Reallocation(dsr_tf.methods.RigL(0.3, None), period=1, seed=0)
        ],
    )
    assert sum(history.history["num_reallocated"])
    assert sum(w.num_active for w in weights) == budget
    assert_zero_outside_masks(sparse)


class Closed(keras.Model):
    """What it is given cannot be told from it."""

    def __init__(self, function):
        super().__init__()
        self.apply_it = function
        self.dense = layers.Dense(8)
        self.gru = layers.GRU(8)

    def call(self, x):
        return self.gru(self.apply_it(self.dense(x)))


def closed():
    model = Closed(lambda x: 2 * x)
    model(X)
    return model


def test_in_place(tmp_path):
    model = closed()
    with pytest.raises(ValueError, match="Closed.*cannot be copied.*inplace"):
        dsr_tf.sparsify(model, 0.5)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse")
    y = np.zeros((4, 8))
    model.fit(X, y, verbose=0)
    before = model.predict(X, verbose=0)
    kernel = model.dense.kernel
    assert dsr_tf.sparsify(model, 0.0, inplace=True) is model
    assert model.dense.stored("kernel") is kernel
    np.testing.assert_array_equal(model.predict(X, verbose=0), before)
    with pytest.raises(ValueError, match="masked already"):
        dsr_tf.sparsify(model, 0.5, inplace=True)

    model = closed()
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse")
    model.fit(X, y, verbose=0)
    dsr_tf.sparsify(model, 0.5, seed=0, inplace=True)
    method = dsr_tf.methods.RigL(0.3, None)
    reallocation = Reallocation(method, period=1, seed=0)
    model.fit(X, y, epochs=3, verbose=0, callbacks=[reallocation])
    assert_zero_outside_masks(model)
    model.save_weights(tmp_path / "m.weights.h5")
    other = dsr_tf.sparsify(closed(), 0.5, inplace=True)
    other.load_weights(tmp_path / "m.weights.h5")
    outputs = model.predict(X, verbose=0)
    np.testing.assert_array_equal(other.predict(X, verbose=0), outputs)
    assert dsr_tf.strip(other, inplace=True) is other
    assert type(other) is Closed and type(other.gru) is layers.GRU
    np.testing.assert_array_equal(other.predict(X, verbose=0), outputs)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"sparsity": 0.999}, "budget of 0|budget of 1"),
        (
            {"sparsity": 0.5, "distribution": {".": 0.9, "out": 0.1}},
            "sparsities given by name",
        ),
    ],
)
def test_a_refusal_leaves_the_model_as_it_was(arguments, message):
    model = functional(Built(), layers.Bidirectional(layers.GRU(2)))
    kinds = [type(layer) for layer in model._flatten_layers()]
    variables = [id(v) for v in model.variables]
    outputs = values(model(X))
    with pytest.raises(ValueError, match=message):
        dsr_tf.sparsify(model, **arguments, inplace=True)
    assert [type(layer) for layer in model._flatten_layers()] == kinds
    assert [id(v) for v in model.variables] == variables
    np.testing.assert_array_equal(values(model(X)), outputs)
    assert dsr_tf.masked_weights(model) == []


def test_a_model_upon_layers_of_one_that_is_sparse(tmp_path):
    """Such as a head upon what a backbone gives."""
    backbone = dsr_tf.sparsify(functional(Block(), Built()), 0.5, seed=0)
    model = keras.Model(backbone.input, layers.Dense(2)(backbone.output))
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(values(loaded(X)), values(model(X)))
    assert len(dsr_tf.masked_weights(loaded)) == 9


def test_parts_that_are_to_be_masked_by_name():
    model = functional(Built(name="one"), Built(name="two"))
    sparse = dsr_tf.sparsify(model, 0.5, filters="two/.*out|one/lstm")
    assert [w.path for w in dsr_tf.masked_weights(sparse)] == [
        "one/lstm/lstm_cell/kernel",
        "one/lstm/lstm_cell/recurrent_kernel",
        "two/out/kernel",
    ]
    assert sparse.skipped_layers == {
        "one/out": "the filters leave it out",
        "two/lstm/lstm_cell": "the filters leave it out",
    }


@needs_tensorflow
def test_in_place_on_replicas():
    import tensorflow as tf

    devices = [d.name for d in tf.config.list_logical_devices("CPU")]
    with tf.distribute.MirroredStrategy(devices[:2]).scope():
        model = functional(Built())
    dsr_tf.sparsify(model, 0.5, inplace=True)
    mask = dsr_tf.masked_weights(model)[0].mask
    assert len(mask.value.values) == 2
