"""A new kind of layer is one class in one file."""

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf.core import discovery
from dsr_tf.layers import DENSE_KINDS
from dsr_tf.layers import MASKED_KINDS
from dsr_tf.layers.kinds import masks
from tests.conftest import values

FILE = '''
import keras

from dsr_tf.layers.kinds import masks
from dsr_tf.layers.masked import Masked


@keras.saving.register_keras_serializable("test")
class Scaled(keras.layers.Layer):
    def build(self, input_shape):
        self.scales = self.add_weight(
            name="scales", shape=(input_shape[-1], 3), initializer="ones"
        )

    def call(self, inputs):
        return keras.ops.matmul(inputs, self.scales)


@masks(Scaled, scales=(-1,))
class SparseScaled(Masked, Scaled):
    """A masked kind of a layer that Keras does not have."""
'''


@pytest.fixture
def new_kind(tmp_path, monkeypatch):
    package = tmp_path / "kinds_of_a_user"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "scaled.py").write_text(FILE)
    monkeypatch.syspath_prepend(tmp_path)
    before = dict(MASKED_KINDS)
    discovery.import_modules("kinds_of_a_user", [str(package)])
    (dense,) = set(MASKED_KINDS) - set(before)
    yield dense
    del DENSE_KINDS[MASKED_KINDS.pop(dense)]


def test_a_file_is_all_that_a_kind_takes(new_kind, tmp_path):
    inputs = keras.Input((8,))
    model = keras.Model(inputs, new_kind(name="scaled")(inputs))
    sparse = dsr_tf.sparsify(model, 0.5, seed=0)
    (weight,) = dsr_tf.masked_weights(sparse)
    assert (weight.path, weight.num_active) == ("scaled/scales", 12)
    x = np.random.default_rng(0).normal(size=(4, 8)).astype("float32")
    sparse.compile("sgd", "mse")
    method = dsr_tf.methods.SET(0.3)
    sparse.fit(
        x,
        np.ones((4, 3)),
        batch_size=1,
        verbose=0,
        callbacks=[dsr_tf.callbacks.Reallocation(method, 2, seed=0)],
    )
    (weight,) = dsr_tf.masked_weights(sparse)
    assert weight.num_active == 12
    sparse.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(values(loaded(x)), values(sparse(x)))
    back = dsr_tf.strip(sparse)
    assert type(back.layers[-1]) is new_kind
    np.testing.assert_array_equal(values(back(x)), values(sparse(x)))


def test_a_kind_that_masks_what_its_layers_do_not_have():
    class Own(keras.layers.Layer):
        def build(self, input_shape):
            self.scales = self.add_weight(name="w", shape=(input_shape[-1],))

        def call(self, inputs):
            return inputs * self.scales

    @masks(Own, scale=(-1,))
    class SparseOwn(dsr_tf.layers.Masked, Own):
        pass

    try:
        model = keras.Sequential([keras.Input((3,)), Own(name="own")])
        with pytest.raises(ValueError, match="'own'.*mask scale.*It has w"):
            dsr_tf.sparsify(model, 0.5)
        model = keras.Sequential([keras.Input((3,)), SparseOwn()])
        with pytest.raises(ValueError, match="should mask scale"):
            dsr_tf.masked_weights(model)
    finally:
        del DENSE_KINDS[MASKED_KINDS.pop(Own)]
    with pytest.raises(TypeError, match="Received: scale=-1"):
        masks(Own, scale=-1)


def test_kinds_are_public():
    for kind in MASKED_KINDS.values():
        assert getattr(dsr_tf.layers, kind.__name__) is kind
