"""Files of layers that store active weights only, and ways there and back."""

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf.layers import SparseDense
from dsr_tf.layers import storages
from tests.conftest import assert_same
from tests.conftest import needs_tensorflow
from tests.conftest import snapshot
from tests.conftest import values
from tests.layers.test_blocks import a_dense_model
from tests.layers.test_blocks import a_model
from tests.layers.test_blocks import compiled
from tests.layers.test_blocks import data

KINDS = {
    "blocks": {"granularity": "block:16", "sparsity": 0.7},
    "lists": {"granularity": "element", "sparsity": 0.9},
}


@pytest.fixture(
    params=["blocks", pytest.param("lists", marks=needs_tensorflow)]
)
def kind(request):
    return request.param


def stored(kind, **arguments):
    return a_model(**{**KINDS[kind], "storage": kind, **arguments})


def test_files_and_the_next_step(kind, tmp_path):
    model = compiled(stored(kind))
    x, y = data()
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    for layer in loaded.layers[1:]:
        assert layer.supports_jit == storages.suits_jit(kind)
    assert_same(snapshot(loaded), snapshot(model))
    for trained in (model, loaded):
        trained.fit(x, y, shuffle=False, verbose=0)
    assert_same(snapshot(loaded), snapshot(model))


def test_a_masked_layer_reads_the_weights_of_a_stored_one(kind, tmp_path):
    model, masked = stored(kind), stored(kind, storage="masked")
    model.save_weights(tmp_path / "w.weights.h5")
    masked.load_weights(tmp_path / "w.weights.h5")
    x = data()[0]
    np.testing.assert_allclose(
        masked.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6
    )


def test_a_file_that_there_are_no_slots_for(kind, tmp_path):
    stored(kind, storage="masked", sparsity=0.1).save_weights(
        tmp_path / "w.weights.h5"
    )
    model = stored(kind)
    before = [values(v) for v in model.variables]
    with pytest.raises(ValueError, match="as many slots"):
        model.load_weights(tmp_path / "w.weights.h5")
    assert_same(before, [values(v) for v in model.variables])


def test_there_and_back(kind):
    granularity = KINDS[kind]["granularity"]
    masked = dsr_tf.sparsify(
        a_dense_model(), 0.8, granularity=granularity, seed=3
    )
    x = data()[0]
    outputs = masked.predict(x, verbose=0)
    model = dsr_tf.with_storage(masked, kind)
    assert model.layers[1].supports_jit == storages.suits_jit(kind)
    back = dsr_tf.with_storage(model, "masked")
    assert back.layers[1].supports_jit
    np.testing.assert_allclose(model.predict(x, verbose=0), outputs, atol=1e-6)
    np.testing.assert_array_equal(back.predict(x, verbose=0), outputs)
    names = [[v.path for v in m.variables] for m in (masked, back)]
    assert names[0] == names[1]
    dense = dsr_tf.strip(model)
    assert type(dense.layers[1]) is keras.layers.Dense
    assert dense.layers[1].supports_jit
    np.testing.assert_array_equal(dense.predict(x, verbose=0), outputs)


def test_penalties(kind):
    penalty = keras.regularizers.L2(0.1)
    arguments = {**KINDS[kind], "storage": kind}
    layer = SparseDense(96, seed=0, kernel_regularizer=penalty, **arguments)
    layer.build((None, 64))
    expected = 0.1 * (values(layer.kernel) ** 2).sum()
    assert float(sum(layer.losses)) == pytest.approx(expected, rel=1e-5)
