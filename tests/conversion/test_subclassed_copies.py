"""Sparse copies of models that know their layers, and not their inputs."""

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf.export import registry
from tests.conftest import needs_tensorflow
from tests.conftest import outputs_of

X = np.random.default_rng(0).normal(size=(4, 6)).astype("float32")


@keras.saving.register_keras_serializable(package="tests")
class Two(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = keras.layers.Dense(5, "relu", name="first")
        self.last = keras.layers.Dense(2, name="last")

    def call(self, x):
        return self.last(self.first(x))


class Untouched(Two):
    """Of which only the layers are built."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first.build((None, 6))
        self.last.build((None, 5))


@pytest.fixture
def sparse():
    model = Two(name="two")
    model(X)
    return dsr_tf.sparsify(model, 0.5, seed=0)


def test_a_copy_is_as_built_as_the_model(sparse, tmp_path):
    assert sparse.built
    expected = [np.array(w) for w in sparse.get_weights()]
    sparse.save_weights(tmp_path / "two.weights.h5")
    for variable in sparse.trainable_variables:
        variable.assign(np.zeros(variable.shape))
    sparse.load_weights(tmp_path / "two.weights.h5")
    for ours, theirs in zip(sparse.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not dsr_tf.sparsify(Untouched(), 0.5, seed=0).built


@needs_tensorflow
def test_as_onnx_it_must_be_in_one_that_knows_them(sparse, tmp_path):
    path = tmp_path / "two.onnx"
    with pytest.raises(ValueError, match="ONNX .it does not know its inputs"):
        dsr_tf.export.onnx(sparse, path)
    assert not list(tmp_path.iterdir())
    inputs = keras.Input((6,))
    dsr_tf.export.onnx(keras.Model(inputs, sparse(inputs)), path)
    found = registry.load("model", str(path)).predict(X)
    np.testing.assert_allclose(found, outputs_of(sparse, X), rtol=1e-5)


def test_the_model_itself_is_named(sparse):
    with pytest.raises(ValueError, match="cluster; two: there is no clustered"):
        dsr_tf.cluster(sparse, 3)
