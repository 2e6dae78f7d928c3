"""Backbones of KerasHub, small ones with random weights."""

import keras
import numpy as np
import pytest

import dsr_tf
from dsr_tf.callbacks import Reallocation
from tests.conftest import needs_tensorflow
from tests.conftest import values

pytestmark = [pytest.mark.slow, needs_tensorflow]

SIZES = {
    "vocabulary_size": 500,
    "num_layers": 2,
    "hidden_dim": 64,
    "intermediate_dim": 128,
}
BACKBONES = {
    "BertBackbone": {"num_heads": 2, "max_sequence_length": 32},
    "GPT2Backbone": {"num_heads": 2, "max_sequence_length": 32},
    "GemmaBackbone": {
        "num_query_heads": 4,
        "num_key_value_heads": 1,
        "head_dim": 16,
    },
}


def assert_equal(model, other, x):
    for first, second in zip(
        keras.tree.flatten(model(x)), keras.tree.flatten(other(x))
    ):
        np.testing.assert_array_equal(values(first), values(second))


@pytest.mark.parametrize("name", BACKBONES)
def test_a_backbone(name, tmp_path):
    models = pytest.importorskip(
        "keras_hub.models", reason="needs the package keras-hub"
    )
    backbone = getattr(models, name)(**SIZES, **BACKBONES[name])
    ids = np.random.default_rng(0).integers(0, 500, (4, 16))
    x = {
        given: np.ones((4, 16), int)
        if "mask" in given
        else ids * (given == "token_ids")
        for given in backbone.input
    }
    assert_equal(backbone, dsr_tf.sparsify(backbone, 0.0), x)

    sparse = dsr_tf.sparsify(backbone, 0.9, seed=0)
    summary = dsr_tf.sparsity_summary(sparse)
    share = 1 - summary.num_masked / summary.num_parameters
    print(f"\n{name}: {share:.2%} dense")
    # Positions, scales, shifts and biases: of so small a network.
    assert share < 0.07
    assert isinstance(sparse, type(backbone))
    sparse.save(tmp_path / "backbone.keras")
    loaded = keras.saving.load_model(tmp_path / "backbone.keras")
    assert_equal(sparse, loaded, x)
    plain = dsr_tf.strip(sparse)
    assert type(plain) is type(backbone)
    assert_equal(sparse, plain, x)

    # A head upon the layers of the backbone.
    output = sparse.output
    if isinstance(output, dict):
        output = output["sequence_output"]
    head = keras.layers.Dense(2)(output[:, 0])
    model = keras.Model(sparse.input, head)
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    budget = dsr_tf.sparsity_summary(model).num_active
    history = model.fit(
        x,
        np.arange(4) % 2,
        batch_size=2,
        epochs=2,
        verbose=0,
        callbacks=[Reallocation(dsr_tf.methods.RigL(0.3, None), period=1)],
    )
    assert sum(history.history["num_reallocated"])
    assert dsr_tf.sparsity_summary(model).num_active == budget
    if name == "GemmaBackbone":
        return  # Layers of Gemma have no configuration, so it cannot be saved.
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_equal(model, loaded, x)
