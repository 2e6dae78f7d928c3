"""LoRA in the projections of attention, which Keras' own files merge."""

import keras
import numpy as np
import pytest
from keras import layers

import dsr_tf
from dsr_tf import export
from dsr_tf.layers import masked_weights
from tests.conftest import needs_tensorflow

ATTENTION = {
    "heads": lambda: layers.MultiHeadAttention(2, 4, name="attention"),
    "groups": lambda: layers.GroupQueryAttention(
        4, num_query_heads=2, num_key_value_heads=1, name="attention"
    ),
}


@pytest.fixture(params=ATTENTION.values(), ids=ATTENTION)
def tuned(request):
    """A sparse model, two of whose projections have LoRA."""
    inputs = keras.Input((6, 8))
    x = request.param()(inputs, inputs)
    model = dsr_tf.sparsify(
        keras.Model(inputs, layers.Dense(3)(x)), 0.5, seed=0
    )
    for layer in model._flatten_layers():
        if layer.name == "query":
            layer.enable_lora(2)
        if layer.name == "attention_output":
            layer.enable_lora(3, lora_alpha=1.5)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        if "lora" in variable.name:
            variable.assign(rng.normal(size=variable.shape))
    return model


def outputs_of(model, x):
    return keras.ops.convert_to_numpy(model(x))


def copies(model, folder):
    model.save(folder / "model.keras")
    yield keras.saving.load_model(folder / "model.keras")
    if keras.backend.backend() == "tensorflow":
        export.packed(model, folder / "model.packed")
        yield export.load_packed(folder / "model.packed")
    cloned = keras.models.clone_model(model)
    cloned.set_weights(model.get_weights())
    yield cloned


X = np.random.default_rng(1).normal(size=(2, 6, 8)).astype("float32")


def test_copies_and_files_have_it(tuned, tmp_path):
    for copy in copies(tuned, tmp_path):
        np.testing.assert_array_equal(outputs_of(copy, X), outputs_of(tuned, X))
        assert [v.path.split("/")[-1] for v in copy.trainable_variables] == [
            v.path.split("/")[-1] for v in tuned.trainable_variables
        ]
        assert (
            dsr_tf.sparsity_summary(copy).num_active
            == dsr_tf.sparsity_summary(tuned).num_active
        )


def test_it_becomes_part_of_what_is_stripped(tuned):
    dense = dsr_tf.strip(tuned)
    assert type(dense.get_layer("attention")).__module__.startswith("keras.")
    assert not any("lora" in v.name for v in dense.variables)
    np.testing.assert_allclose(
        outputs_of(dense, X), outputs_of(tuned, X), rtol=1e-4, atol=1e-5
    )


@needs_tensorflow
def test_it_has_no_place_where_active_weights_are_stored(tuned):
    stored = dsr_tf.with_storage(tuned, "lists")
    held = {w.path.split("/")[-2]: w.layer for w in masked_weights(stored)}
    assert {n for n, layer in held.items() if layer.storage == "masked"} == {
        "query",
        "attention_output",
    }
    np.testing.assert_allclose(
        outputs_of(stored, X), outputs_of(tuned, X), rtol=1e-4, atol=1e-5
    )
    with pytest.raises(ValueError, match="query/?.* .it has LoRA, which adds"):
        dsr_tf.with_storage(tuned, "lists", filters="query")
