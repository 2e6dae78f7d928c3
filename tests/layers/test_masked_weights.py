"""What layers and `masked_weights` tell of themselves."""

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf import layers
from dsr_tf import methods
from dsr_tf.callbacks import Reallocation


def paths(model):
    return [weight.path for weight in dsr_tf.masked_weights(model)]


def small_model():
    return keras.Sequential(
        [
            keras.Input((12,)),
            layers.SparseDense(20, 0.7, name="a"),
            layers.SparseDense(3, 0.7, name="b"),
        ],
        name="net",
    )


def test_paths_are_the_same_after_saving(tmp_path):
    inner = small_model()
    inputs = keras.Input((5, 12))
    x = keras.layers.TimeDistributed(inner, name="each")(inputs)
    x = layers.SparseDense(2, name="top")(x)
    outer = keras.Model(inputs, x)
    for name, model in (("inner", inner), ("outer", outer)):
        path = tmp_path / f"{name}.keras"
        model.save(path)
        assert paths(keras.models.load_model(path)) == paths(model)
    assert paths(inner) == ["a/kernel", "b/kernel"]
    assert set(paths(outer)) == {
        "each/net/a/kernel",
        "each/net/b/kernel",
        "top/kernel",
    }


def test_no_two_paths_are_alike(data):
    class Twice(keras.Model):
        def __init__(self):
            super().__init__()
            self.first = layers.SparseDense(8, 0.5, name="same")
            self.second = layers.SparseDense(3, 0.5, name="same")

        def call(self, x):
            return self.second(self.first(x))

    model, records = Twice(), []
    model.compile(
        "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    model.fit(
        *data,
        batch_size=8,
        verbose=0,
        callbacks=[Reallocation(methods.SET(), 5, listener=records.append)],
    )
    assert paths(model) == ["same/kernel", "same/kernel:2"]
    assert list(records[0].active.values()) == [48, 12]


@pytest.mark.parametrize("distribution", ["uniform", "erk", {"b": 0.2}])
def test_sparsity_is_that_of_the_mask(distribution):
    dense = keras.Sequential(
        [
            keras.Input((100,)),
            keras.layers.Dense(50, name="a"),
            keras.layers.Dense(5, name="b"),
        ]
    )
    sparse = dsr_tf.sparsify(dense, 0.9, distribution, seed=0)
    for weight in dsr_tf.masked_weights(sparse):
        density = weight.num_active / weight.size
        config = weight.layer.get_config()
        assert weight.layer.sparsity == config["sparsity"]
        assert config["sparsity"] == pytest.approx(1 - density, abs=1e-9)
        again = type(weight.layer).from_config(config)
        again.build((None, weight.kernel.shape[0]))
        assert again.mask.shape == weight.mask.shape
        assert int(keras.ops.sum(keras.ops.cast(again.mask, "int32"))) == (
            weight.num_active
        )


def test_sparsity_that_describes_the_mask_stays_as_it_was_given():
    layer = layers.SparseDense(20, 0.9)
    assert layer.sparsity == 0.9
    layer.build((None, 7))
    assert layer.sparsity == 0.9


@pytest.mark.parametrize(
    "layer",
    [
        layers.SparseDense(20, 0.9),
        layers.SparseSeparableConv1D(4, 3, 0.9),
    ],
    ids=["one mask", "two masks"],
)
def test_a_mask_without_any_active_weight_can_be_saved(layer, tmp_path):
    model = keras.Sequential([keras.Input((9, 7)), layer])
    weight = dsr_tf.masked_weights(model)[0]
    weight.set_mask(np.zeros(weight.mask.shape, "bool"))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].sparsity == layer.sparsity
    assert dsr_tf.masked_weights(loaded)[0].num_active == 0


def test_inputs_of_unknown_size_are_refused():
    with pytest.raises(ValueError, match="inputs whose channels are known"):
        layers.SparseDense(3)(keras.Input((None,)))
