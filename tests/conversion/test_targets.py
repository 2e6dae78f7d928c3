"""How sparse a model becomes: by parameters, by a share, by names."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

import dsr_tf
from dsr_tf.core.distribution import num_active_groups


def network():
    """Kernels of 40 and 24 weights; 12 + 8 parameters beside them."""
    return keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(8, name="a"),
            keras.layers.LayerNormalization(name="norm", center=False),
            keras.layers.Dense(3, use_bias=False, name="b"),
            keras.layers.Dense(4, use_bias=False, name="c"),
        ]
    )


# 40 + 8, 8, 24, 12 = 92, of which 76 in kernels.


def summary_of(*args, **arguments):
    sparse = dsr_tf.sparsify(network(), *args, seed=0, **arguments)
    return dsr_tf.sparsity_summary(sparse)


@pytest.mark.parametrize("mask", ["random", "magnitude", "global_magnitude"])
@pytest.mark.parametrize("parameters", [19, 50, 92])
def test_a_number_of_parameters(mask, parameters):
    summary = summary_of(parameters=parameters, mask=mask)
    assert summary.num_parameters == 92
    assert summary.num_active_parameters == parameters


@pytest.mark.parametrize("sparsity", [0, 0.5, 0.79])
def test_a_share_of_the_model(sparsity):
    summary = summary_of(sparsity, sparsity_of="model")
    assert summary.num_active_parameters == round((1 - sparsity) * 92)
    assert summary_of(sparsity).num_active == round((1 - sparsity) * 76)


@settings(max_examples=15)
@given(st.integers(16 + 5 + 8 + 3, 92), st.sampled_from(["uniform", "erk"]))
def test_groups_miss_the_number_by_less_than_the_largest(number, distribution):
    """Channels of 5, 8 and 3 weights."""
    summary = summary_of(
        parameters=number, granularity="channel", distribution=distribution
    )
    assert 0 <= number - summary.num_active_parameters < 8


def test_what_is_masked_already_counts():
    once = dsr_tf.sparsify(network(), 0.9, filters="a", seed=0)
    twice = dsr_tf.sparsify(once, parameters=40, seed=0)
    found = dsr_tf.sparsity_summary(twice)
    # 4 of 40 stay, 16 have no mask: 20 of 36.
    assert [layer.num_active for layer in found.layers][0] == 4
    assert found.num_active_parameters == 40
    with pytest.raises(ValueError, match="from 22 to 56 active .*20 of its 92"):
        dsr_tf.sparsify(once, parameters=21)


@pytest.mark.parametrize(
    "arguments, received",
    [
        ({"parameters": 18}, "18. Received: parameters=18"),
        ({"parameters": 93}, "93. Received: parameters=93"),
        (
            {"sparsity": 0.9, "sparsity_of": "model"},
            "9. Received: sparsity=0.9, sparsity_of='model'",
        ),
    ],
)
def test_what_cannot_be_reached_is_refused(arguments, received):
    with pytest.raises(ValueError) as error:
        dsr_tf.sparsify(network(), **arguments)
    message = str(error.value)
    assert "can have from 19 to 92 active parameters" in message
    assert message.endswith(f"Asked for were {received}")
    # 19 of 92, and no digit too many.
    assert "a sparsity of at most 0.7934 of the model" in message
    summary = summary_of(0.7934, sparsity_of="model")
    assert summary.num_active_parameters == 19


def test_the_smallest_that_a_message_names_can_be_reached():
    assert summary_of(parameters=19).num_active_parameters == 19


def test_sparsities_by_name_with_the_rest():
    summary = summary_of(distribution={"^b": 0, "rest": 0.75})
    assert [layer.num_active for layer in summary.layers] == [10, 24, 3]
    summary = summary_of(distribution={"rest": 0.9})
    expected = [num_active_groups(n, 0.9) for n in (40, 24, 12)]
    assert [layer.num_active for layer in summary.layers] == expected


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "Exactly one .*sparsity=None and parameters=None"),
        ({"sparsity": 0.5, "parameters": 50}, "Exactly one of `sparsity` and"),
        ({"parameters": 0}, "Received: parameters=0"),
        ({"parameters": 0.5}, "Received: parameters=0.5"),
        ({"parameters": True}, "Received: parameters=True"),
        ({"sparsity": 0.5, "sparsity_of": "x"}, "Received: sparsity_of='x'"),
        (
            {"parameters": 50, "sparsity_of": "model"},
            "needs that argument. Received: sparsity_of='model'",
        ),
        (
            {"sparsity": 0.5, "distribution": {"rest": 0.5}},
            "'rest' has that of every kernel.*sparsity=0.5 and parameters=None",
        ),
        (
            {"parameters": 50, "distribution": {"rest": 0.5}},
            "'rest' has that of every kernel.*parameters=50",
        ),
        (
            {"distribution": {"a": 0.5}},
            "Exactly one .*sparsity=None and parameters=None",
        ),
        (
            {"distribution": {"rest": 0.5}, "mask": "global_magnitude"},
            "shares the budget itself",
        ),
        (
            {"parameters": 90, "distribution": {"a": 0.5}},
            "leave 54 active weights.*from 2 to 36. Received: parameters=90",
        ),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        dsr_tf.sparsify(network(), **arguments)


def test_the_number_holds_while_weights_move():
    sparse = dsr_tf.sparsify(network(), parameters=45, seed=0)
    sparse.compile("sgd", "mse")
    callback = dsr_tf.callbacks.DynamicSparseReparameterization(seed=0)
    x = np.random.default_rng(0).normal(size=(40, 5)).astype("float32")
    history = sparse.fit(
        x, x[:, :4], batch_size=4, epochs=2, verbose=0, callbacks=[callback]
    )
    assert max(history.history["num_reallocated"]) > 0
    summary = dsr_tf.sparsity_summary(sparse)
    assert summary.num_active_parameters == 45


def warnings_of(caplog):
    return [r.message for r in caplog.records if "stay dense" in r.message]


def with_dense_layers():
    """110, 20, 100, 20, 55 and 5 parameters: 310."""
    inner = keras.Sequential(
        [keras.Input((10,)), keras.layers.LayerNormalization(name="scale")],
        name="inner",
    )
    return keras.Sequential(
        [
            keras.Input((10,)),
            keras.layers.Dense(10, name="first"),
            inner,
            keras.layers.Dense(10, use_bias=False, name="kept"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Dense(5, name="left"),
            keras.layers.Dense(1, use_bias=False, name="last"),
        ],
        name="mostly_dense",
    )


def test_what_stays_dense_is_said_once_with_the_largest(caplog):
    with caplog.at_level("WARNING", logger="absl"):
        sparse = dsr_tf.sparsify(
            with_dense_layers(), 0.5, filters=["first", "last"]
        )
    summary = dsr_tf.sparsity_summary(sparse)
    left_out = "the filters leave it out"
    assert [(d.name, d.num_parameters) for d in summary.dense_layers] == [
        ("inner/scale", 20),
        ("kept", 100),
        ("norm", 20),
        ("left", 55),
    ]
    note = (
        "62.9% of all parameters are in layers that stay dense "
        f"(kept, 100: {left_out}; left, 55: {left_out}; inner/scale, 20: "
        "there is no masked kind of LayerNormalization; and 1 more)"
    )
    assert summary.num_parameters == 310
    assert warnings_of(caplog) == [f"sparsify: of model 'mostly_dense' {note}."]
    assert summary.dense_note == note
    assert note in " ".join(str(summary).split())
    assert summary.to_dict()["dense_layers"][1] == {
        "name": "kept",
        "num_parameters": 100,
        "reason": left_out,
    }


def test_what_is_little_or_masked_already_is_not_said(caplog):
    once = dsr_tf.sparsify(with_dense_layers(), 0.5, filters=["kept", "left"])
    caplog.clear()
    with caplog.at_level("WARNING", logger="absl"):
        # 20 and 20 of 310, and 20 of 440.
        sparse = dsr_tf.sparsify(once, 0.5)
        large = keras.Sequential(
            [
                keras.Input((20,)),
                keras.layers.Dense(20),
                keras.layers.BatchNormalization(center=False),
            ]
        )
        dsr_tf.sparsify(large, 0.5)
    found = dsr_tf.sparsity_summary(sparse).dense_layers
    assert [layer.name for layer in found] == ["inner/scale", "norm"]
    messages = warnings_of(caplog)
    assert len(messages) == 1 and "12.9%" in messages[0]
    assert "kept" not in messages[0] and "kept" in sparse.skipped_layers


def test_dense_parts_of_a_layer_of_ones_own_are_counted_once():
    attention = keras.layers.MultiHeadAttention(2, 4, name="attention")
    inputs = keras.Input((3, 8))
    x = attention(inputs, inputs)
    x = attention(x, x)
    model = keras.Model(inputs, keras.layers.Dense(8, name="head")(x))
    sparse = dsr_tf.sparsify(model, 0.5, filters="head")
    summary = dsr_tf.sparsity_summary(sparse)
    assert {layer.name for layer in summary.dense_layers} == {
        f"attention/{name}"
        for name in ("query", "key", "value", "attention_output")
    }
    dense = sum(layer.num_parameters for layer in summary.dense_layers)
    assert dense == attention.count_params() == summary.num_parameters - 72
