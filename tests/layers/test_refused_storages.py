"""What cannot store active weights only, and how many slots are too many."""

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf.layers import SparseDense
from dsr_tf.layers import SparseEmbedding
from dsr_tf.layers import SparseSpectralNormalization
from tests.conftest import needs_tensorflow

BLOCKS = {"granularity": "block:16", "storage": "blocks", "seed": 0}


def a_normalized_model(**arguments):
    model = keras.Sequential([keras.Input((32,))])
    dense = keras.layers.Dense(48, bias_initializer="ones")
    model.add(keras.layers.SpectralNormalization(dense))
    model.add(keras.layers.Dense(16))
    return dsr_tf.sparsify(model, 0.2, **{**BLOCKS, **arguments})


@pytest.mark.parametrize("change", [False, True])
def test_spectral_normalization_keeps_whole_kernels(change):
    """It divides them in place; it would not find active weights only."""
    model = a_normalized_model(storage="masked" if change else "blocks")
    if change:
        model = dsr_tf.with_storage(model, "blocks")
    found = [w.layer.storage for w in dsr_tf.masked_weights(model)]
    assert found == ["masked", "blocks"]
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(8, 32)).astype("float32")
    before = [w.variable.groups() + 0 for w in dsr_tf.masked_weights(model)]
    model.fit(x, np.zeros((8, 16)), verbose=0)
    after = [w.variable.groups() for w in dsr_tf.masked_weights(model)]
    assert all((a != b).any() for a, b in zip(before, after))


def test_spectral_normalization_of_stored_weights_is_refused():
    with pytest.raises(ValueError, match="must be masked, for spectral norm"):
        SparseSpectralNormalization(SparseDense(48, **BLOCKS))


def test_quantized_layers_are_refused():
    with pytest.raises(ValueError, match="for it is quantized to int8. Rec"):
        SparseDense(48, **BLOCKS, dtype="int8_from_float32")


@pytest.mark.parametrize(
    ("make", "most", "of_what"),
    [
        (lambda n: SparseDense(48, **BLOCKS, num_slots=n), 2, "a block of out"),
        (
            lambda n: SparseEmbedding(32, 12, storage="rows", num_slots=n),
            12,
            "a row",
        ),
        pytest.param(
            lambda n: SparseDense(48, storage="lists", num_slots=n),
            32 * 48,
            "a kernel",
            marks=needs_tensorflow,
        ),
    ],
)
def test_more_slots_than_there_are_groups(make, most, of_what):
    """Of a damaged file, say: before memory is taken for them."""
    make(most).build((None, 32))
    for number in (most + 1, 10**30):
        message = f"must be at most {most}, .* of {of_what}.*={number}$"
        with pytest.raises(ValueError, match=message):
            make(number).build((None, 32))
