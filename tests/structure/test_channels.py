"""Which channels go together, by hand and in networks of papers."""

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from dsr_tf import models
from dsr_tf import structure
from dsr_tf.structure.graph.labels import Labels
from dsr_tf.structure.rules import RULES
from tests.structure import networks
from tests.structure.networks import NETWORKS


def kinds_of(sets):
    return {
        kind: sum(found.kind == kind for found in sets)
        for kind in dict.fromkeys(found.kind for found in sets)
    }


def test_labels():
    labels = Labels()
    a, b = labels.fresh(3), labels.fresh(3)
    labels.unite(a[:2], b[1:])
    assert labels.roots(b).tolist() == [4, 1, 2]
    labels.fix(b[1:2])
    assert labels.roots(a).tolist() == [0, 2, 3]
    c = labels.fresh(2)
    # The second two are one already, and so no sum.
    labels.unite(a[2:], c[1:])
    labels.add(a[::2], c)
    assert labels.sums() == {0}
    assert labels.num_labels == 9


def test_a_set_is_printed_in_one_line_without_its_arrays():
    first = structure.channel_sets(networks.residual())[0]
    assert repr(first) == (
        "ChannelSet(name='stem', kind='stream', num_units=6)"
    )
    assert repr(first.slices[0]) == (
        "Slice(variable=stem/kernel, axis=3, role=out)"
    )


def test_a_residual_network():
    sets = {x.name: x for x in structure.channel_sets(networks.residual())}
    assert {name: (x.kind, x.num_units) for name, x in sets.items()} == {
        "stem": ("stream", 6),
        "conv0a": ("inner", 5),
        "shortcut1": ("stream", 10),
        "conv1a": ("inner", 5),
    }
    inner = sets["conv0a"]
    assert [(x.layer.name, x.axis, x.role) for x in inner.slices] == [
        ("conv0a", 3, "out"),
        ("conv0a", 0, "bias"),
        ("bn0b", 0, "scale"),
        ("bn0b", 0, "shift"),
        ("bn0b", 0, "statistic"),
        ("bn0b", 0, "statistic"),
        ("conv0b", 2, "in"),
    ]
    stream = sets["stem"]
    assert [x.name for x in stream.producers] == ["stem", "conv0b"]
    assert {x.name for x in stream.readers} == {
        "conv0a",
        "shortcut1",
        "conv1a",
    }


def test_flatten_keeps_channels_apart():
    sets = structure.channel_sets(networks.sequential())
    (place,) = (
        x
        for found in sets
        for x in found.slices
        if x.layer.name == "dense1" and x.role == "in"
    )
    # 2 x 2 places of 7 channels, the channels last.
    assert place.positions.tolist() == [
        [c, 7 + c, 14 + c, 21 + c] for c in range(7)
    ]


@pytest.mark.parametrize(
    ("build", "num_sets", "num_units"),
    [
        (models.lenet_300_100, 2, 400),
        (models.wrn_28_2, 16, 1136),
        (models.resnet50, 37, 11456),
    ],
)
def test_networks_of_the_paper(build, num_sets, num_units):
    found = structure.Structure(build())
    assert len(found.sets) == num_sets
    assert sum(x.num_units for x in found.sets) == num_units
    assert not found.fixed and not found.uncounted


@pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS)
def test_a_position_is_in_one_unit(build):
    seen = set()
    for found in structure.channel_sets(build()):
        for place in found.slices:
            assert place.positions.shape[0] == found.num_units
            for position in place.positions.reshape(-1).tolist():
                key = id(place.variable), place.axis, position
                assert key not in seen
                seen.add(key)


def test_names_of_layers_say_nothing():
    model = networks.residual()
    names = {layer.name: f"x{i}" for i, layer in enumerate(model.layers)}

    def renamed(layer):
        config = layer.get_config()
        config["name"] = names[layer.name]
        return type(layer).from_config(config)

    other = keras.models.clone_model(model, clone_function=renamed)
    ours, theirs = structure.channel_sets(model), structure.channel_sets(other)
    assert [names[x.name] for x in ours] == [x.name for x in theirs]
    for a, b in zip(ours, theirs):
        for x, y in zip(a.slices, b.slices, strict=True):
            assert (x.axis, x.role) == (y.axis, y.role)
            np.testing.assert_array_equal(x.positions, y.positions)


class Halved(layers.Layer):
    """A layer of a user's."""

    def call(self, x):
        return x / 2


class Mixing(layers.Dense):
    """It may compute anything."""


def with_layer(layer):
    inputs = keras.Input((4,))
    x = layers.Dense(6, name="first")(inputs)
    return keras.Model(inputs, layers.Dense(2, name="last")(layer(x)))


@pytest.mark.parametrize("kind", [Halved, lambda name: Mixing(5, name=name)])
def test_unknown_layers_fix_their_channels_and_are_named(kind):
    found = structure.Structure(with_layer(kind(name="own")))
    assert found.sets == []
    assert list(found.fixed) == ["own"]
    assert found.fixed["own"].startswith("no rule for ")


def test_what_nobody_counts_is_named():
    found = structure.Structure(with_layer(Mixing(5, name="own")))
    assert found.uncounted == ("own",)
    # Its weights count, its products do not.
    assert found.cost() == structure.Cost(4 * 6 + 6 + 35 + 10 + 2, 24 + 10)


def test_a_rule_of_a_user(monkeypatch):
    monkeypatch.setitem(RULES, Halved, structure.elementwise)
    model = with_layer(Halved(name="own"))
    keep = {"first": np.arange(6) < 4}
    narrowed = structure.narrow(model, keep)
    networks.assert_equal_outputs(
        structure.mask(model, keep), narrowed, networks.inputs_of(model)
    )
    assert narrowed.get_layer("first").units == 4


def test_register_refuses():
    with pytest.raises(TypeError, match="classes of layers"):
        structure.register(3)


def test_a_wrong_rule_is_told(monkeypatch):
    def rule(call):
        return call.pass_on(call.fresh(3), -1)

    monkeypatch.setitem(RULES, Halved, rule)
    with pytest.raises(ValueError, match="Halved gives 3 labels"):
        structure.channel_sets(with_layer(Halved(name="own")))


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (layers.LayerNormalization(name="x"), "no rule"),
        (layers.Softmax(name="x"), "no rule"),
        (layers.Activation("softmax", name="x"), "mixes channels"),
        (layers.Reshape((2, 3), name="x"), "cuts the axis"),
    ],
)
def test_layers_that_mix_channels(layer, reason):
    inputs = keras.Input((4,))
    x = layer(layers.Dense(6, name="first")(inputs))
    x = layers.Flatten()(x)
    found = structure.Structure(keras.Model(inputs, layers.Dense(2)(x)))
    assert found.sets == []
    assert reason in found.fixed["x"]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[..., :4],
        lambda x: x * np.arange(6.0, dtype="float32"),
        lambda x: ops.softmax(x),
        lambda x: ops.concatenate([x, ops.flip(x)], axis=-1),
    ],
)
def test_operations_that_mix_channels(function):
    inputs = keras.Input((4,))
    x = function(layers.Dense(6, name="first")(inputs))
    found = structure.Structure(keras.Model(inputs, layers.Dense(2)(x)))
    assert found.sets == []
    assert found.fixed


def test_an_activation_that_mixes():
    inputs = keras.Input((4,))
    x = layers.Dense(6, "softmax", name="first")(inputs)
    assert structure.channel_sets(keras.Model(inputs, layers.Dense(2)(x))) == []


def test_one_channel_is_broadcast():
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(5, 3, name="wide")(inputs)
    gate = layers.Conv2D(1, 3, activation="sigmoid", name="gate")(inputs)
    x = layers.Conv2D(2, 1)(layers.Multiply()([x, gate]))
    model = keras.Model(inputs, x)
    assert [x.name for x in structure.channel_sets(model)] == ["wide"]
    networks.check_narrow(model)


def test_two_variables_are_one():
    """A table that is read as a kernel as well."""
    inputs = keras.Input((3,), dtype="int32")
    table = layers.ReversibleEmbedding(9, 4, name="table")
    x = layers.Dense(4, name="dense")(table(inputs))
    model = keras.Model(inputs, table(x, reverse=True))
    found = structure.Structure(model)
    assert "table" in found.fixed
    networks.check_narrow(model)


def test_cost_of_convolutions_by_hand():
    inputs = keras.Input((6, 6, 4))
    x = layers.Conv2D(8, 3, groups=2, use_bias=False)(inputs)
    x = layers.DepthwiseConv2D(3, use_bias=False)(x)
    x = layers.Conv2DTranspose(3, 2, strides=2, use_bias=False)(x)
    model = keras.Model(inputs, x)
    # 4 x 4 places of 3 x 3 x 2 x 8; 2 x 2 of 3 x 3 x 8; and each of these 2 x
    # 2 to 2 x 2 x 3.
    assert structure.cost(model) == structure.Cost(
        144 + 72 + 96, 16 * 144 + 4 * 72 + 4 * 96
    )


def test_cost_of_attention_by_hand():
    inputs = keras.Input((5, 6))
    x = layers.MultiHeadAttention(2, 3, use_bias=False)(inputs, inputs)
    model = keras.Model(inputs, x)
    kernels = 4 * 6 * 2 * 3
    pairs = 5 * 5 * 2 * (3 + 3)
    assert structure.cost(model) == structure.Cost(kernels, 5 * kernels + pairs)
    (heads,) = structure.channel_sets(model)
    assert (heads.kind, heads.num_units) == ("heads", 2)
    half = structure.cost(model, {heads.name: np.array([True, False])})
    assert half == structure.Cost(kernels // 2, (5 * kernels + pairs) // 2)


@pytest.mark.skipif(
    keras.backend.backend() != "jax",
    reason="TensorFlow has no convolution of channels first on a CPU",
)
def test_channels_first():
    inputs = keras.Input((3, 8, 8))
    options = {"data_format": "channels_first"}
    x = layers.Conv2D(6, 3, name="a", **options)(inputs)
    x = layers.BatchNormalization(axis=1)(x)
    x = layers.ReLU()(x)
    y = layers.DepthwiseConv2D(3, padding="same", **options)(x)
    y = layers.SeparableConv2D(5, 3, padding="same", **options)(y)
    x = layers.Add()([layers.Conv2D(5, 1, **options)(x), y])
    x = layers.Concatenate(axis=1)([x, y])
    x = layers.MaxPooling2D(2, **options)(x)
    z = layers.GlobalAveragePooling2D(**options)(x)
    z = layers.Dense(10, name="squeeze")(z)
    x = layers.Multiply()([x, layers.Reshape((10, 1, 1))(z)])
    x = layers.Conv2DTranspose(4, 2, **options)(x)
    x = layers.Flatten(**options)(x)
    model = keras.Model(inputs, layers.Dense(2, name="logits")(x))
    found, _, _ = networks.check_narrow(model)
    assert not found.fixed
    # What the squeeze makes scales the stream, and so is of its units.
    assert [x.num_units for x in found.sets] == [6, 5, 4]
