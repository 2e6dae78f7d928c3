"""A copy is the model: states, graphs and layers of every kind."""

import keras
import numpy as np
import pytest
from keras import layers

import dsr_tf
from tests.conftest import needs_tensorflow
from tests.conftest import values
from tests.conversion.models_to_copy import NUMBERS
from tests.conversion.models_to_copy import PLAIN
from tests.conversion.models_to_copy import WITH_TABLES
from tests.conversion.models_to_copy import WORDS
from tests.conversion.models_to_copy import with_head


def names(cases):
    return {"argvalues": cases, "ids": [c.__qualname__ for c in cases]}


def equal(first, second, data, **kwargs):
    for a, b in zip(
        keras.tree.flatten(first(data, **kwargs)),
        keras.tree.flatten(second(data, **kwargs)),
        strict=True,
    ):
        np.testing.assert_array_equal(values(a), values(b))


def copies(make):
    model, data = make()
    before = [values(v) for v in model.variables]
    data = keras.tree.map_structure(keras.ops.convert_to_tensor, data)
    twin = dsr_tf.sparsify(model, 0.0)
    equal(model, twin, data)
    assert [o.name for o in twin.layers] == [o.name for o in model.layers]
    sparse = dsr_tf.sparsify(model, 0.5, seed=0)
    dense = dsr_tf.strip(sparse)
    equal(sparse, dense, data)
    assert not any(
        isinstance(layer, dsr_tf.layers.Masked)
        for layer in dense._flatten_layers()
    )
    tied = dsr_tf.tie(model, 0.5, seed=0)
    equal(tied, dsr_tf.strip(tied), data)
    for a, b in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(a, values(b))


@pytest.mark.parametrize("make", **names(PLAIN))
def test_copies_compute_what_the_model_does(make):
    copies(make)


@needs_tensorflow
@pytest.mark.parametrize("make", **names(WITH_TABLES))
def test_copies_know_the_words_of_the_model(make):
    copies(make)


def test_the_same_units_drop_out():
    model = keras.Sequential(
        [
            keras.Input((5,)),
            layers.GaussianNoise(1.0),
            layers.Dense(20),
            layers.Dropout(0.5),
        ]
    )
    model(NUMBERS, training=True)
    twin = dsr_tf.sparsify(model, 0.0)
    sparse = dsr_tf.sparsify(model, 0.5)
    equal(model, twin, NUMBERS, training=True)
    dense = dsr_tf.strip(sparse)
    for _ in range(2):
        equal(sparse, dense, NUMBERS, training=True)
    with pytest.raises(AssertionError):
        equal(model, model, NUMBERS, training=True)


def test_what_is_frozen_stays_frozen():
    dense = [layers.Dense(5, name=name) for name in "abc"]
    model = keras.Sequential([keras.Input((5,)), *dense])
    model.get_layer("a").trainable = False
    model.get_layer("b")._kernel.trainable = False
    sparse = dsr_tf.sparsify(model, 0.5)
    for copy in (sparse, dsr_tf.strip(sparse), dsr_tf.tie(model, 0.5)):
        kernel = "bank" if hasattr(copy.layers[0], "bank") else "kernel"
        free = [v.path.split("/", 1)[1] for v in copy.trainable_variables]
        assert free == ["b/bias", f"c/{kernel}", "c/bias"]


@needs_tensorflow
def test_a_vocabulary_may_be_learnt_later():
    inputs = keras.Input((1,), dtype="string")
    x = layers.StringLookup(name="words")(inputs)
    x = layers.Flatten()(layers.Embedding(9, 2)(x))
    sparse = dsr_tf.sparsify(with_head(inputs, x), 0.5)
    sparse.get_layer("words").adapt(WORDS)
    assert sparse.get_layer("words").vocabulary_size() == 5


def test_other_networks_are_refused():
    first, second, third = (
        keras.Sequential([keras.Input((5, 5)), layer])
        for layer in (layers.Dense(3), layers.Dense(2), layers.Conv1D(3, 2))
    )
    for other in (second, third, dsr_tf.tie(second, 0.5)):
        with pytest.raises(ValueError, match="Layer|layer"):
            dsr_tf.conversion.copy_weights(first, other)


@pytest.mark.parametrize("penalty, other", [(None, "l1"), ("l1", None)])
def test_weights_come_without_penalties(penalty, other):
    """And without constraints: each model keeps its own."""
    source, target = (
        keras.Sequential(
            [
                keras.Input((3,)),
                layers.Dense(
                    2,
                    kernel_regularizer=name,
                    kernel_constraint=name and "non_neg",
                ),
            ]
        )
        for name in (penalty, other)
    )
    before = target.layers[0].kernel_regularizer
    dsr_tf.conversion.copy_weights(source, target)
    for a, b in zip(source.variables, target.variables, strict=True):
        np.testing.assert_array_equal(values(a), values(b))
    assert target.layers[0].kernel_regularizer is before


class Nameless(layers.Layer):
    """It takes no name, and has no configuration."""

    def __init__(self, function, units):
        super().__init__()
        self.function, self.units = function, units
        self.dense = layers.Dense(units)

    def call(self, x):
        return self.function(self.dense(x))


def test_a_layer_without_configuration_or_name_is_made_from_its_arguments():
    inputs = keras.Input((5,))
    x = Nameless(lambda x: 2 * x, 4)(inputs)
    model = with_head(inputs, x)
    copy = dsr_tf.sparsify(model, 0.0)
    assert [layer.name for layer in copy.layers] == [
        layer.name for layer in model.layers
    ]
    assert len(dsr_tf.masked_weights(copy)) == 2
    np.testing.assert_array_equal(values(copy(NUMBERS)), values(model(NUMBERS)))
    dense = dsr_tf.strip(copy)
    assert type(dense.layers[1]) is Nameless
    np.testing.assert_array_equal(
        values(dense(NUMBERS)), values(model(NUMBERS))
    )


class Doubled(keras.Sequential):
    def call(self, x, training=None):
        return 2 * super().call(x, training=training)


def test_a_subclass_that_does_more_than_its_layers():
    x = np.ones((2, 5), "float32")
    with keras.saving.custom_object_scope({"Doubled": Doubled}):
        model = Doubled([keras.Input((5,)), layers.Dense(3)])
        copy = dsr_tf.sparsify(model, 0.0)
    assert type(copy) is Doubled
    np.testing.assert_array_equal(values(copy(x)), values(model(x)))
    assert len(dsr_tf.masked_weights(copy)) == 1


def test_wrapped_layers_are_converted_or_listed():
    inputs = keras.Input((4, 5))
    x = layers.TimeDistributed(layers.Dense(6, name="each"), name="t")(inputs)
    x = layers.TimeDistributed(layers.Dense(6, name="not"), name="u")(x)
    x = layers.SpectralNormalization(
        layers.Dense(3, name="dense"), name="spectral"
    )(x)
    model = keras.Model(inputs, x)
    left_out = "the filters leave it out"
    for verb, left in (
        (
            "tie",
            {
                "u/not": left_out,
                "spectral": "there is no tied kind of SpectralNormalization",
            },
        ),
        ("sparsify", {"u/not": left_out, "spectral/dense": left_out}),
    ):
        copy = getattr(dsr_tf, verb)(model, 0.5, filters="each")
        assert copy.skipped_layers == left
        assert type(copy.get_layer("t").layer) in (
            dsr_tf.layers.SparseDense,
            dsr_tf.layers.HashedDense,
        )
    (weight,) = dsr_tf.masked_weights(copy)
    assert weight.num_active == 15


APPLICATIONS = ["MobileNetV3Small", "ConvNeXtTiny", "EfficientNetB0"]


@pytest.mark.slow
@pytest.mark.parametrize("name", APPLICATIONS)
def test_networks_of_keras_applications(name):
    model = getattr(keras.applications, name)(
        input_shape=(64, 64, 3), weights=None
    )
    data = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3))
    for training in (False, True):
        twin = dsr_tf.sparsify(model, 0.0)
        equal(model, twin, data.astype("float32"), training=training)
    sparse = dsr_tf.sparsify(model, 0.9, seed=0)
    dense = dsr_tf.strip(sparse)
    equal(sparse, dense, data.astype("float32"))
    assert [type(x) for x in dense.layers] == [type(x) for x in model.layers]
    dsr_tf.tie(model, 0.9, seed=0)


def test_states_between_batches_come_along():
    inputs = keras.Input(batch_shape=(2, 5, 3))
    x = keras.layers.GRU(4, stateful=True, return_sequences=True)(inputs)
    x = keras.layers.Bidirectional(keras.layers.LSTM(3, stateful=True))(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    batches = np.random.default_rng(0).normal(size=(3, 2, 5, 3))
    model.predict_on_batch(batches[0])
    copy = dsr_tf.sparsify(model, 0.0)
    for batch in batches[1:]:
        np.testing.assert_array_equal(
            copy.predict_on_batch(batch), model.predict_on_batch(batch)
        )
