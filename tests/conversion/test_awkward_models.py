"""Models that conversion meets seldom, and must leave or make whole."""

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

import dsr_tf
from tests.conftest import assert_zero_outside_masks
from tests.conftest import values

X = np.random.default_rng(0).normal(size=(8, 6)).astype("float32")
Y = X[:, :1]


@keras.saving.register_keras_serializable("tests")
class Pair(layers.Layer):
    """Two layers that are built when it is called."""

    def __init__(self, units=6, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.first, self.second = layers.Dense(units), layers.Dense(units)

    def call(self, x):
        return self.second(self.first(x))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def chain(*parts):
    return keras.Sequential([keras.Input((6,)), *parts, layers.Dense(1)])


class WithAnUnusedHead(keras.Model):
    def __init__(self, unused):
        super().__init__()
        self.used, self.unused = layers.Dense(1), unused

    def call(self, x):
        return self.used(x)


@pytest.mark.parametrize("kind", [layers.Dense, layers.LSTM, layers.Embedding])
def test_a_layer_that_is_never_built_is_told(kind):
    unused = layers.Embedding(3, 2) if kind is layers.Embedding else kind(2)
    model = WithAnUnusedHead(unused)
    model(X)
    before = vars(unused).keys()
    with pytest.raises(ValueError, match="is not built yet"):
        dsr_tf.sparsify(model, 0.5, inplace=True)
    assert type(model.used) is layers.Dense and type(unused) is kind
    assert type(model) is WithAnUnusedHead and vars(unused).keys() == before


def test_any_error_leaves_the_model_as_it_was():
    model, seen = chain(Pair(), Pair()), []

    def breaks(layer):
        seen.append(layer)
        if len(seen) == 3:
            raise RuntimeError("of a user's")
        return True

    with pytest.raises(RuntimeError, match="of a user's"):
        dsr_tf.sparsify(model, 0.5, filters=breaks, inplace=True)
    assert dsr_tf.masked_weights(model) == []
    assert type(model.layers[0]) is Pair


def test_a_loss_that_fails_leaves_the_model_as_it_was():
    def fails(y, outputs):
        raise TypeError("no loss")

    model = chain()
    with pytest.raises(TypeError, match="no loss"):
        dsr_tf.sparsify(
            model, 0.5, mask="snip", data=(X, Y), loss=fails, inplace=True
        )
    assert type(model.layers[0]) is layers.Dense


def test_a_granularity_that_does_not_fit_leaves_no_trace():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(4)])
    model.add(layers.Dense(1))
    before = vars(model.layers[0]).keys()
    dsr_tf.sparsify(model, 0.5, granularity="2:4", inplace=True)
    assert vars(model.layers[0]).keys() == before


def test_a_layer_that_goes_backwards_is_told_of_no_cudnn(tmp_path):
    """`Bidirectional` sets the attribute for layers that have none."""
    both = layers.Bidirectional(
        layers.GRU(2, return_sequences=True),
        backward_layer=layers.SimpleRNN(
            2, return_sequences=True, go_backwards=True
        ),
    )
    model = keras.Sequential([keras.Input((3, 6)), both])
    sparse = dsr_tf.sparsify(model, 0.5, seed=0)
    sparse.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    x = np.ones((2, 3, 6), "float32")
    np.testing.assert_array_equal(values(loaded(x)), values(sparse(x)))


@keras.saving.register_keras_serializable("tests")
class Deep(keras.Model):
    """An argument of its is named as what Keras lists layers under."""

    def __init__(self, layers=2, **kwargs):
        super().__init__(**kwargs)
        self.given = layers
        widths = [4] * layers if isinstance(layers, int) else layers
        self.parts = [keras.layers.Dense(n) for n in widths]
        self.head = keras.layers.Dense(1)

    def call(self, x):
        for part in self.parts:
            x = part(x)
        return self.head(x)

    def get_config(self):
        return {**super().get_config(), "layers": self.given}


@pytest.mark.parametrize("given", [2, [4, 5]])
def test_an_argument_named_layers(tmp_path, given):
    model = Deep(given)
    model(X)
    sparse = dsr_tf.sparsify(model, 0.5, seed=0)
    sparse.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(values(loaded(X)), values(sparse(X)))
    assert type(dsr_tf.strip(loaded)) is Deep


def test_snip_of_a_model_of_a_users():
    model = Deep()
    model(X)
    chain_of_it = keras.Sequential([keras.Input((6,)), *model.parts])
    chain_of_it.add(model.head)
    masks = [
        [
            values(w.mask)
            for w in dsr_tf.masked_weights(
                dsr_tf.sparsify(
                    either, 0.5, mask="snip", data=(X, Y), loss="mse"
                )
            )
        ]
        for either in (model, chain_of_it)
    ]
    for ours, theirs in zip(*masks, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_slots_do_not_move_what_becomes_inactive():
    model = chain(layers.Dense(6))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    model.fit(X, Y, verbose=0)
    dsr_tf.sparsify(model, 0.5, seed=0, inplace=True)
    model.fit(X, Y, verbose=0)
    assert_zero_outside_masks(model)


def test_a_part_that_is_compiled_as_well_is_traced_again():
    part = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
    part.compile("sgd", "mse")
    part.fit(X, Y, verbose=0)
    whole = keras.Sequential([keras.Input((6,)), layers.Dense(6), part])
    dsr_tf.sparsify(whole, 0.5, seed=0, inplace=True)
    part.fit(X, Y, verbose=0)
    assert_zero_outside_masks(whole)


def test_a_frozen_block_can_be_unfrozen_in_the_copy():
    model = chain(Pair())
    model.layers[0].trainable = False
    sparse = dsr_tf.sparsify(model, 0.5, seed=0)
    assert len(sparse.trainable_variables) == 2
    assert not sparse.layers[0].first.trainable
    sparse.layers[0].trainable = True
    assert len(sparse.trainable_variables) == 6


@keras.saving.register_keras_serializable("tests")
class Around(layers.Layer):
    """It is given the layer that it holds, and says so."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def call(self, x):
        return self.inner(x)

    def get_config(self):
        inner = keras.saving.serialize_keras_object(self.inner)
        return {**super().get_config(), "inner": inner}

    @classmethod
    def from_config(cls, config):
        inner = keras.saving.deserialize_keras_object(config.pop("inner"))
        return cls(inner, **config)


def test_a_block_that_is_given_to_a_block(tmp_path):
    sparse = dsr_tf.sparsify(chain(Around(Around(Pair()))), 0.5, seed=0)
    sparse.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    for copy in (loaded, dsr_tf.strip(loaded)):
        np.testing.assert_array_equal(values(copy(X)), values(sparse(X)))
    assert len(dsr_tf.masked_weights(loaded)) == 3
    assert type(dsr_tf.strip(loaded).layers[0].inner.inner) is Pair


def test_lora_of_a_part(tmp_path):
    sparse = dsr_tf.sparsify(chain(Pair()), 0.5, seed=0)
    sparse.layers[0].first.enable_lora(2)
    sparse.compile("adam", "mse")
    sparse.fit(X, Y, epochs=2, verbose=0)
    sparse.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(values(loaded(X)), values(sparse(X)))
    assert loaded.layers[0].first.lora_enabled
    loaded.fit(X, Y, verbose=0)
    dense = dsr_tf.strip(loaded)
    np.testing.assert_allclose(values(dense(X)), values(loaded(X)), atol=1e-6)
    assert not dense.layers[0].first.lora_enabled


def test_projections_of_different_granularity(tmp_path):
    inputs = keras.Input((4, 6))
    attention = layers.MultiHeadAttention(2, 3)(inputs, inputs)
    model = keras.Model(inputs, attention)
    some = dsr_tf.sparsify(model, 0.5, filters="query", seed=0)
    sparse = dsr_tf.sparsify(
        some, 0.5, filters="key|value", granularity="head", seed=0
    )
    sparse.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    x = np.ones((2, 4, 6), "float32")
    np.testing.assert_array_equal(values(loaded(x)), values(sparse(x)))
    for masked in (sparse, loaded):
        weights = dsr_tf.masked_weights(masked)
        assert {w.layer.name: w.granularity for w in weights} == {
            "query": "element",
            "key": "head",
            "value": "head",
        }


class Twice(layers.Layer):
    """Two layers with one variable."""

    def build(self, shape):
        self.first, self.second = layers.Dense(6), layers.Dense(6)
        self.first.build(shape)
        self.second.built, self.second.bias = True, self.first.bias
        self.second._kernel = self.first._kernel

    def call(self, x):
        return self.second(self.first(x))


class Scores(layers.Layer):
    """It holds the table of an embedding, past the layer."""

    def build(self, shape):
        self.words = layers.Embedding(5, 6)
        self.words.build(shape)
        self.table = self.words.embeddings

    def call(self, x):
        scores = ops.matmul(x, ops.transpose(self.table))
        return self.words(ops.argmax(scores, axis=-1))


@pytest.mark.parametrize("kind", [Twice, Scores])
def test_a_kernel_that_two_layers_hold_stays_dense(kind):
    model = chain(layers.Dense(6), kind())
    before = {type(layer) for layer in model.layers[1]._flatten_layers()}
    dsr_tf.sparsify(model, 0.5, seed=0, inplace=True)
    assert len(dsr_tf.masked_weights(model)) == 2
    assert before == {type(v) for v in model.layers[1]._flatten_layers()}
    assert any("held by" in why for why in model.skipped_layers.values())


def test_spectral_normalization_only_reads_the_kernel():
    wrapped = layers.SpectralNormalization(layers.Dense(6))
    sparse = dsr_tf.sparsify(chain(wrapped), 0.5, seed=0)
    assert len(dsr_tf.masked_weights(sparse)) == 2


def test_snip_of_a_loss_that_adds_up():
    """A part of the examples counts as much as the others."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(40, 6)).astype("float32")
    x[32:] *= 20
    model = chain(layers.Dense(6, activation="tanh"))
    first, second = (
        [
            values(w.mask)
            for w in dsr_tf.masked_weights(
                dsr_tf.sparsify(
                    model,
                    0.5,
                    mask="snip",
                    data=(x, x[:, :1]),
                    loss=keras.losses.MeanSquaredError(reduction=reduction),
                )
            )
        ]
        for reduction in ("sum", "sum_over_batch_size")
    )
    for ours, theirs in zip(first, second, strict=True):
        np.testing.assert_array_equal(ours, theirs)


class Scored(layers.Layer):
    """It has a weight of its own, beside a layer."""

    def build(self, shape):
        self.scores = self.add_weight(shape=shape[-1:])
        self.inner = layers.Dense(6)
        self.inner.build(shape)

    def call(self, x):
        return self.inner(x) * self.scores


def test_a_class_of_a_user_is_named_as_it_is():
    """What holds masked layers is of a class made for it."""
    sparse = dsr_tf.sparsify(chain(Scored(name="own")), 0.5, seed=0)
    assert type(sparse.get_layer("own")) is not Scored
    assert sparse.skipped_layers == {"own": "there is no masked kind of Scored"}
    clustered = dsr_tf.cluster(sparse, 3)
    reason = "there is no clustered kind of Scored"
    assert clustered.skipped_layers == {"own": reason}
    found = dsr_tf.structure.Structure(sparse)
    assert found.fixed == {"own": "no rule for Scored"}
